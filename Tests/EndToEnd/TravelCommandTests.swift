// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// gdb's commands that go back, against a forward run: its log, and its states by single steps. On the small guest, in a Linux
/// kernel, and in a program of the Linux guest that two processes run at the same addresses.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(10)))
    struct TravelCommandTests {
        /// A call of a function.
        private struct Entry {
            var brctr: UInt64
            var icount: UInt64
            /// The page tables at it; 0 before the log shows any.
            var space: UInt64
        }

        /// What the log shows of a function and of the ways from a kernel into programs.
        private struct Shown {
            var entries: [Entry] = []
            /// Transitions from the kernel's addresses to those of programs.
            var returns: [Entry] = []
        }

        /// Reads the last branches of a log, with the page tables that its context events name.
        private func shown(_ log: LogFile, _ address: UInt64, from: UInt64) -> Shown {
            var events = log.events()
            var changes: [(clock: UInt64, space: UInt64)] = []
            while let event = events.next() {
                if event.kind == .context, let cr3 = event.values.first { changes.append((event.clock, cr3)) }
            }
            var (shown, next, space) = (Shown(), 0, UInt64(0))
            var cursor = log.branches(from: from)
            let end = log.comparableEnd(vcpu: 0)?.clock ?? .max
            while let branch = cursor.next(), branch.clock < end {
                while next < changes.count, changes[next].clock <= branch.clock {
                    space = changes[next].space
                    next += 1
                }
                let entry = Entry(brctr: branch.clock + 1, icount: branch.icount, space: space)
                if branch.to == address { shown.entries.append(entry) }
                if branch.from >> 63 == 1, branch.to >> 63 == 0 { shown.returns.append(entry) }
            }
            return shown
        }

        /// The states from an entry on, by single steps. What a kernel does between two instructions of a program is left out:
        /// the program goes on where the log shows the next way into it with the same page tables.
        private func states(
            _ session: TravelSession, from entry: Entry, count: Int, returns: [Entry]?
        ) throws -> [[UInt64]] {
            func state() throws -> [UInt64] {
                let registers = try session.registers()
                return [try session.position().icount, registers.linearIP, registers["RSP"] ?? 0]
            }
            try session.go(to: session.places.destination(brctr: entry.brctr))
            var found = [try state()]
            while found.count < count {
                try session.client.drain()
                try session.client.step()
                try session.look()
                if let returns, try session.linearIP() >> 63 == 1 {
                    let brctr = try #require(try session.position().brctr)
                    let next = returns.first { $0.brctr > brctr && $0.space == entry.space }
                    try session.go(to: session.places.destination(brctr: #require(next).brctr))
                }
                let now = try state()
                // An interrupt or fault, after which the program goes on where it was.
                if now[1...] != found[found.count - 1][1...] { found.append(now) }
            }
            return found
        }

        /// Runs the script in gdb.
        private func check(
            _ directory: String, function: String, entries: [Entry], first: Int, states: [[UInt64]], isProcess: Bool,
            lines: Bool, commands: Int, _ options: [String], _ scratch: TemporaryDirectory
        ) throws {
            let own = entries[first].space
            let truth: [String: Any] = [
                "function": function, "first": first, "states": states, "process": isProcess, "lines": lines,
                "commands": commands,
                "entries": entries.map { [$0.brctr, $0.icount, !isProcess || $0.space == own ? 1 : 0] },
            ]
            let file = scratch.file("truth.json")
            try Files.replace(file, with: Array(try JSONSerialization.data(withJSONObject: truth)))
            let result = try run(
                "/usr/bin/env",
                [
                    "TT_TRUTH=\(file)", Products.tool("tt-gdb"), directory, "\(function):1", "--quiet",
                    "--checkpoint-space", "0",
                ] + options + ["--", "-nx", "-batch", "-x", "\(Products.root)/Tests/Travel/check_commands.py"],
                seconds: 500)
            #expect(result.status == 0, "\(result)")
            #expect(result.out.hasSuffix(" checks\n") && !result.out.contains("wrong: "), "\(result)")
            print(result.out.split(separator: "\n").last ?? "")
        }

        private func address(of function: String, in file: String) throws -> UInt64 {
            let symbols = try run("/bin/sh", ["-c", "nm '\(file)' | grep ' \(function)$'"])
            return try #require(UInt64(symbols.out.prefix { $0 != " " }, radix: 16))
        }

        @Test(arguments: TravelTests.Version.allCases) func inTheSmallGuest(version: TravelTests.Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let address = try address(of: "sort_numbers", in: Products.guest("tiny"))
            let shown = shown(try LogFile(path: directory), address, from: 0)
            let first = shown.entries.count / 2
            let session = try TravelTests.session(directory)
            let states = try states(session, from: shown.entries[first], count: 300, returns: nil)
            try check(
                directory, function: "sort_numbers", entries: shown.entries, first: first, states: states,
                isProcess: false, lines: false, commands: 8, [], scratch)
        }

        /// Two processes run the same code at the same addresses, in turns.
        @Test func inAProgramOfLinux() throws {
            let scratch = try temporaryDirectory()
            let directory = scratch.file("run")
            try LinuxGuest.record(into: directory, ["--quiet"])
            let program = try LinuxGuest.file("walk")
            let log = try LogFile(path: directory)
            let end = try #require(log.comparableEnd(vcpu: 0)).clock
            let shown = shown(log, try address(of: "climb", in: program), from: end - 1_000_000)
            let spaces = Set(shown.entries.map(\.space))
            try #require(spaces.count == 2 && shown.entries.count == 2 * 42)
            // The two take turns: between two calls of climb(0) of one come calls of the other.
            let own = shown.entries[0].space
            let first = try #require(shown.entries.indices.filter { shown.entries[$0].space == own }.dropFirst(3).first)
            #expect(shown.entries[..<first].contains { $0.space != own })
            let session = try TravelTests.session(directory)
            try session.keepCheckpoints()
            let states = try states(session, from: shown.entries[first], count: 260, returns: shown.returns)
            try check(
                directory, function: "climb", entries: shown.entries, first: first, states: states, isProcess: true,
                lines: true, commands: 4, ["--user", program], scratch)
        }
    }
}
