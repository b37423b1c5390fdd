// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

extension EndToEndTests.QEMU10 {
    /// A kernel with KASLR, its modules, and a program that is loaded elsewhere each time, in one recording: names are
    /// right at the addresses that the guest itself reports.
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct AddressSpaces {
        /// Branches as bts-dump prints them, one a line: from, its name, to, its name, class.
        private struct Row {
            var to: UInt64
            var toName: Substring?
            var label: Substring

            /// ` 113770951: 0xffffffffc057b47c <init_module+0xc> -> 0xffffffff8a8fcb20 <bus_register>  call!  1532133997`
            init?(_ line: Substring) {
                guard let arrow = line.firstRange(of: " -> 0x") else { return nil }
                let rest = line[arrow.upperBound...]
                let digits = rest.prefix { $0.isHexDigit }
                guard let to = UInt64(digits, radix: 16) else { return nil }
                self.to = to
                var tail = rest[digits.endIndex...]
                if tail.hasPrefix(" <"), let end = tail.firstIndex(of: ">") {
                    toName = tail[tail.index(tail.startIndex, offsetBy: 2)..<end]
                    tail = tail[tail.index(after: end)...]
                }
                label = tail.split(separator: " ").first ?? ""
            }

            var isCall: Bool { label.hasPrefix("call") }
        }

        /// The clock of the first branch to one of these addresses.
        private func firstClock(_ directory: String, _ isWanted: (UInt64) -> Bool) throws -> UInt64 {
            var first: UInt64?
            var branches = try LogFile(path: directory).branches()
            while first == nil,
                branches.nextBatch({ batch, range in
                    let targets = batch.to
                    first = range.first { isWanted(targets[$0]) }.map { batch.clockFirst + UInt64($0) }
                })
            {}
            return try #require(first)
        }

        /// The rows of bts-dump from a branch on that contain a text.
        private func dump(
            _ directory: String, from clock: UInt64, _ options: [String], keeping text: String
        ) throws -> ToolResult {
            let words = [Products.tool("bts-dump"), "--no-cache", "--range", "\(clock):"] + options + [directory]
            let command = words.map { "'\($0)'" }.joined(separator: " ")
            return try run("/bin/sh", ["-c", "\(command) | grep -F '\(text)'"])
        }

        @Test func kernelModulesAndProgramsAreNamedWhereverTheyStood() throws {
            let scratch = try temporaryDirectory()
            let directory = scratch.file("random")
            try LinuxGuest.record(
                into: directory, randomizingTheKernel: true, ["--disk", LinuxGuest.file("disk.img")])
            try findTheProgram(directory)
            try findTheModules(directory, scratch)
            try findTheKernel(directory)
        }

        /// Each of its ten runs, and nothing else.
        private func findTheProgram(_ directory: String) throws {
            let works = try LinuxGuest.programAddresses(directory)
            try #require(works.count == 10)
            let first = try firstClock(directory) { works.contains($0) }
            let result = try dump(
                directory, from: first - 2_000_000, ["--user", LinuxGuest.file("roam")], keeping: "<work>")
            #expect(result.err.contains("roam: was loaded at 10 addresses, one a run: "), "\(result.err)")
            let called = result.out.split(separator: "\n").compactMap(Row.init).filter { $0.isCall }
            #expect(called.map(\.to) == works)

            // Ten places, one program: 100,000 turns a run, every third of them an addition.
            let counted = try run(
                Products.tool("bts-dump"),
                ["--no-cache", "--user", LinuxGuest.file("roam"), "--coverage", "--format", "text", directory])
            let rows = counted.out.split(separator: "\n").map { $0.split(separator: " ") }
            for (name, count) in [("work", "10"), ("add", "333340")] {
                let named = rows.filter { $0.count == 7 && $0[5] == name }
                #expect(named.map { $0[0] } == [Substring(count)], "\(named)")
            }
        }

        /// All calls into modules go to beginnings of functions.
        private func findTheModules(_ directory: String, _ scratch: TemporaryDirectory) throws {
            let serial = Files.tail("\(directory)/serial.log", limit: 1 << 16)
            let mark = "guest: module: "
            let lines = serial.split(whereSeparator: \.isNewline).filter { $0.hasPrefix(mark) }
                .map { $0.dropFirst(mark.count) }
            let isSection = { (line: Substring) in line.hasPrefix("/sys/") }
            try #require(lines.filter { !isSection($0) }.count == 6)
            let first = try firstClock(directory) { $0 >= 0xffff_ffff_c000_0000 }
            var outputs: [String] = []
            for (name, part) in [("modules", lines.filter { !isSection($0) }), ("sections", lines.filter(isSection))] {
                let list = scratch.file(name)
                try Files.replace(list, with: Array((part.joined(separator: "\n") + "\n").utf8))
                let modules = try LinuxGuest.file("modules")
                let result = try dump(
                    directory, from: first, ["--modules", "\(modules),\(list)"], keeping: "0xffffffffc")
                // Debian's modules are stripped of their DWARF; there is no other warning.
                #expect(result.err.split(separator: "\n").count == 1, "\(result.err)")
                #expect(result.err.contains("6 modules have no DWARF"))
                outputs.append(result.out)
            }
            // The addresses that the kernel reports for each section equal those that follow from the module's
            // beginning.
            #expect(outputs[0] == outputs[1])
            let calls = outputs[0].split(separator: "\n").compactMap(Row.init).filter {
                $0.isCall && $0.to >= 0xffff_ffff_c000_0000
            }
            #expect(Set(calls.map(\.to)).count > 30)
            for call in calls { #expect(call.toName != nil && call.toName?.contains("+") == false, "\(call)") }
        }

        /// The slide is the one that the guest printed.
        private func findTheKernel(_ directory: String) throws {
            guard let vmlinux = try LinuxGuest.vmlinux() else {
                print("no vmlinux of the guest's kernel here: scripts/fetch-vmlinux")
                return
            }
            let slide = try LinuxGuest.kernelAddress(directory) - 0xffff_ffff_8100_0000
            let result = try run(
                Products.tool("bts-dump"), ["--symbols", vmlinux, "--range", "60000000:60000010", directory],
                seconds: 120)
            #expect(
                result.err.contains(": ran 0x\(String(slide, radix: 16)) higher than linked (KASLR): "), "\(result.err)"
            )
            #expect(result.out.split(separator: "\n").count == 10)
        }
    }
}
