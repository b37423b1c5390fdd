// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// What a forward run shows of the calls of a function: the rows of its log, and its states by single steps. With it
/// Tests/Travel/check_commands.py checks gdb's commands that go back.
struct GoingBackTruth {
    /// The position after a transition.
    struct Row {
        var brctr: UInt64
        var icount: UInt64
        var ip: UInt64
        /// The page tables at it; 0 before the log shows any.
        var space: UInt64
    }

    /// What the source lines are in the code.
    enum Lines: String {
        /// Each is one stretch of instructions.
        case exact
        /// Parts of a line are in several places.
        case scattered
        /// There are none.
        case none
    }

    let directory: String
    private let log: LogFile
    private let changes: [(clock: UInt64, space: UInt64)]
    /// The calls of the function.
    private(set) var entries: [Row] = []
    /// The call with which the states begin.
    var first = 0
    /// The transitions before it.
    var rows: [Row] = []
    /// Count, address and stack pointer of each state.
    var states: [[UInt64]] = []
    /// Whether the states are those of one process.
    var isProcess = false
    var lines = Lines.none
    /// How many of each command are tried.
    var commands = 4

    /// Finds the transitions that lead to an address.
    init(_ directory: String, address: UInt64) throws {
        self.directory = directory
        log = try LogFile(path: directory)
        var events = log.events()
        var changes: [(clock: UInt64, space: UInt64)] = []
        while let event = events.next() {
            if event.kind == .context, let cr3 = event.values.first { changes.append((event.clock, cr3)) }
        }
        self.changes = changes
        var batch = BranchBatch()
        let end = try #require(log.comparableEnd(vcpu: 0)).clock
        for chunk in log.chunks(.branch, vcpu: 0) {
            try log.decode(chunk, into: &batch)
            let targets = batch.to
            for index in 0..<batch.count where targets[index] == address && batch[index].clock < end {
                entries.append(row(batch[index]))
            }
        }
    }

    private func row(_ branch: Branch) -> Row {
        let space = changes.last { $0.clock <= branch.clock }?.space ?? 0
        return Row(brctr: branch.clock + 1, icount: branch.icount, ip: branch.to, space: space)
    }

    /// The branches between two positions.
    func branches(from start: UInt64, to end: UInt64) -> [Branch] {
        var cursor = log.branches(from: start, to: end)
        var found: [Branch] = []
        while let branch = cursor.next() { found.append(branch) }
        return found
    }

    /// The first call in the second half of the run after which no interrupt, fault or end of a repetition comes in so many
    /// transitions.
    func quietEntry(_ count: UInt64) throws -> Int {
        let found = entries.indices[(entries.count / 2)...].first { index in
            let start = entries[index].brctr
            return branches(from: start, to: start + count).allSatisfy { !$0.label.isDiscontinuity }
        }
        return try #require(found)
    }

    /// Takes the states from a call on, by single steps. What the kernel does between two instructions of a process is left
    /// out: the process goes on where the log shows the next way out of the kernel with the same page tables.
    mutating func takeStates(from first: Int, count: Int) throws {
        self.first = first
        let entry = entries[first]
        rows = branches(from: entry.brctr - 41, to: entry.brctr - 1).map(row)
        let session = try EndToEndTests.TravelTests.session(directory)
        func state() throws -> [UInt64] {
            let registers = try session.registers()
            return [try session.position().icount, registers.linearIP, registers["RSP"] ?? 0]
        }
        try session.go(to: session.places.destination(brctr: entry.brctr))
        states = [try state()]
        while states.count < count {
            try session.client.drain()
            try session.client.step()
            try session.look()
            if isProcess, try session.linearIP() >> 63 == 1 {
                let brctr = try #require(try session.position().brctr)
                let back = branches(from: brctr, to: brctr + 2_000_000).first {
                    $0.from >> 63 == 1 && $0.to >> 63 == 0 && row($0).space == entry.space
                }
                try session.go(to: session.places.destination(brctr: #require(back).clock + 1))
            }
            let now = try state()
            // An interrupt or fault, after which the process goes on where it was.
            if !isProcess || now[1...] != states[states.count - 1][1...] { states.append(now) }
        }
    }

    /// Runs the script in gdb.
    func check(_ function: String, _ options: [String]) throws {
        let own = entries[first].space
        let truth: [String: Any] = [
            "function": function, "first": first, "states": states, "process": isProcess, "lines": lines.rawValue,
            "commands": commands, "rows": rows.map { [$0.brctr, $0.icount, $0.ip] },
            "entries": entries.map { [$0.brctr, $0.icount, !isProcess || $0.space == own ? 1 : 0] },
        ]
        let scratch = try temporaryDirectory()
        let file = scratch.file("truth.json")
        try Files.replace(file, with: Array(try JSONSerialization.data(withJSONObject: truth)))
        let result = try run(
            "/usr/bin/env",
            [
                "TT_TRUTH=\(file)", Products.tool("tt-gdb"), directory, "\(function):1", "--quiet",
                "--checkpoint-space", "0",
            ]
                + options + ["--", "-nx", "-batch", "-x", "\(Products.root)/Tests/Travel/check_commands.py"],
            seconds: 200)
        let output = result.out.split(separator: "\n")
        let wrong = output.filter { $0.hasPrefix("wrong: ") }
        #expect(result.status == 0 && wrong.isEmpty, "\(wrong.prefix(20).joined(separator: "\n")) \(result.err)")
        let checks = try #require(output.first { $0.hasSuffix(" checks") }, "\(result.err)")
        print("\(function): \(checks)")
    }

    /// The address of a function in an ELF file.
    static func address(of function: String, in file: String) throws -> UInt64 {
        let symbols = try run("/bin/sh", ["-c", "nm '\(file)' | grep ' \(function)$'"])
        return try #require(UInt64(symbols.out.prefix { $0 != " " }, radix: 16))
    }
}
