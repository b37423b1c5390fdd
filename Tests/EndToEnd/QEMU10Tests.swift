// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

extension EndToEndTests {
    /// The same plugin under QEMU 10.0 (plugin API 4), which shares translated code between virtual addresses.
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct QEMU10 {
        /// Switches on all that there is to be logged. A replay does as its recording.
        static let everything = ["--mmio", "--values", "--context", "--causes", "--registers"].flatMap { [$0, "on"] }

        /// A recording under QEMU 10.0 in `run`.
        private func recorded(
            _ guest: String, _ scratch: TemporaryDirectory, _ more: [String] = []
        ) throws -> String {
            let qemu = try #require(Products.qemu10)
            let directory = scratch.file("run")
            let result = try record(Products.guest(guest), into: directory, ["--qemu", qemu] + more)
            try #require(result.status == 0, "\(result)")
            return directory
        }

        private func diverge(_ original: String, _ replay: String) throws -> ToolResult {
            try run(Products.tool("tt-analyze"), ["diverge", original, replay])
        }

        /// With everything on. Compared by their logs: QEMU 10.0 ends some faithful replays with another exit status.
        @Test func tenReplaysAreIdentical() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded("tiny", scratch, Self.everything)
            let original = try LogFile(path: directory)
            #expect(original.header.recorderGeneration == 4)
            #expect(original.header.recorderName.hasPrefix("qemu 10.0."))
            #expect(original.header.features.isSuperset(of: [.branches, .icount, .causes, .accesses, .mmio, .state]))
            let end = try #require(original.comparableEnd(vcpu: 0)).clock
            #expect(end > 1_500_000)
            let manifest = try Manifest.read("\(directory)/manifest.json")
            #expect(try QEMUDetails(manifest).pluginAPI == 4)
            #expect(manifest.engine.version.hasPrefix("10.0."))
            var wrongStatuses = 0
            for number in 1...10 {
                let result = try replay(directory)
                #expect(result.status == 0, "\(result)")
                #expect(result.out.contains("left over: 0 transitions, 0 events"), "\(result)")
                let report = try diverge(directory, "\(directory)/replays/\(number)")
                #expect(report.status == 0, "\(report)")
                let alignment = try align(original, LogFile(path: "\(directory)/replays/\(number)"))
                #expect(alignment.vcpus.first?.compared == 0..<end)
                let outcome = try Manifest.read("\(directory)/replays/\(number)/manifest.json").outcome
                if outcome?.process != manifest.outcome?.process { wrongStatuses += 1 }
            }
            print("QEMU 10.0's exit status: wrong in \(wrongStatuses) of 10 replays, all of them identical")
        }

        /// A log without branches knows its end in instructions, not in branches.
        @Test func aReplayWithoutBranchesIsIdentical() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded("tiny", scratch)
            let result = try replay(directory, ["--mode", "events"])
            #expect(result.status == 0, "\(result)")
            let report = try diverge(directory, "\(directory)/replays/1")
            #expect(report.status == 0, "\(report)")
            let logs = try (LogFile(path: directory), LogFile(path: "\(directory)/replays/1"))
            let ends = try (#require(logs.0.comparableEnd(vcpu: 0)), #require(logs.1.comparableEnd(vcpu: 0)))
            #expect(ends.0.icount == ends.1.icount)
        }

        /// Each transition found a second time from single instructions, each block's address compared with rip.
        @Test(arguments: ["tiny", "aliases"]) func transitionsAndAddressesAreExact(guest: String) throws {
            let scratch = try temporaryDirectory()
            let options = ["--check", "--mmio", "on"]
            let log = try LogFile(path: recorded(guest, scratch, options))
            let transitions = try #require(log.attributes["recorder.transitions"])
            #expect(log.attributes["recorder.check"] == "\(transitions) transitions checked, 0 mismatches")
            let addresses = try #require(log.attributes["recorder.check-addresses"])
            let blocks = try #require(UInt64(addresses.prefix { $0 != " " }))
            #expect(blocks > 2_000_000)
            #expect(addresses == "\(blocks) blocks checked, 0 wrong addresses")
            #expect(log.attributes["recorder.unknown-transitions"] == "0")
        }

        /// What the correction is for, and that the check sees it: without it, record and replay agree on addresses
        /// where nothing ran.
        @Test func uncorrectedAddressesAreWrongAndNoComparisonFindsOut() throws {
            let scratch = try temporaryDirectory()
            let options = ["--check", "--plugin-option", "correct=off"]
            let directory = try recorded("aliases", scratch, options)
            let addresses = try #require(try LogFile(path: directory).attributes["recorder.check-addresses"])
            let wrong = addresses.split(separator: " ").dropFirst(3).first.flatMap { UInt64($0) }
            #expect(try #require(wrong) > 1_000_000, "\(addresses)")
            #expect(try replay(directory).status == 0)
            #expect(try diverge(directory, "\(directory)/replays/1").status == 0)
            let corrected = try replay(directory, ["--plugin-option", "correct=on"])
            #expect(corrected.status == 1, "\(corrected)")
            #expect(try diverge(directory, "\(directory)/replays/2").status == 1)
        }

        /// Interrupts, exceptions and system calls by `int`, against QEMU's own account of the same run and against the
        /// join of the branches with replay.bin.
        @Test func causesAreThoseThatQEMUNames() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded("tiny", scratch)
            let account = scratch.file("interrupts.txt")
            #expect(try replay(directory, ["--name", "account", "--", "-d", "int", "-D", account]).status == 0)
            let log = try LogFile(path: "\(directory)/replays/account")
            let seen = try expectCauses(of: log, reportedIn: account)
            #expect(seen.count > 60)
            #expect(Set(seen.map(\.vector)) == [6, 14, 32, 128])
            #expect(try diverge(directory, "\(directory)/replays/account").status == 0)
            let joined = try expectJoinToAgree(with: log, "\(directory)/replay.bin")
            #expect(joined == seen.count)

            // The branches are the same without.
            #expect(try replay(directory, ["--name", "mute", "--causes", "off"]).status == 0)
            let mute = try LogFile(path: "\(directory)/replays/mute")
            #expect(!mute.header.features.contains(.causes))
            let pairs = zip(log.chunks(.branch, vcpu: 0), mute.chunks(.branch, vcpu: 0))
            let wholeCells = try #require(log.comparableEnd(vcpu: 0)).clock >> 16
            #expect(wholeCells > 20)
            for (chunk, copy) in pairs where chunk.cell < wholeCells {
                #expect(chunk.digests == copy.digests, "cell \(chunk.cell)")
            }
        }

        /// A number that no branch depends on is changed: the registers show it, and the cell in which it began.
        /// Without their digests the runs are the same.
        @Test(arguments: [true, false]) func aChangeOfDataAloneIsSeenInTheRegisters(digests: Bool) throws {
            let scratch = try temporaryDirectory()
            let blind = ["--registers", "off", "--values", "off"]
            let directory = try recorded("tiny", scratch, digests ? [] : blind)
            _ = try replay(directory, ["--name", "data", "--force", "--kernel", Products.guest("tiny-data")])
            let report = try diverge(directory, "\(directory)/replays/data")
            guard digests else {
                #expect(report.status == 0, "\(report)")
                return
            }
            #expect(report.status == 1, "\(report)")
            #expect(report.out.hasPrefix("state differs\n"), "\(report)")
            let alignment = try align(LogFile(path: directory), LogFile(path: "\(directory)/replays/data"))
            #expect(alignment.verdict == .state)
            let firsts = try #require(alignment.vcpus.first)
            let clock = try #require(firsts[.state]).clocks.lowerBound
            #expect(clock % 65536 == 0 && firsts[.path] == nil && firsts[.event] == nil)
            #expect(report.out.contains("\(clock - 65536):\(clock)"), "\(report)")
            #expect(try replay(directory, ["--name", "faithful"]).status == 0)
            #expect(try diverge(directory, "\(directory)/replays/faithful").status == 0)
        }

        /// QEMU 10.0 would take a recording of 7.2 and hang; and their logs are not compared.
        @Test func recordingsAndLogsOfAnotherVersionAreRefused() throws {
            let scratch = try temporaryDirectory()
            let qemu = try #require(Products.qemu10)
            let new = try recorded("tiny", scratch)
            let old = scratch.file("old")
            #expect(try record(into: old).status == 0)
            #expect(try QEMUDetails(Manifest.read("\(old)/manifest.json")).pluginAPI == 1)

            let refused = try replay(old, ["--qemu", qemu])
            #expect(refused.status == 2)
            for text in ["QEMU version", "7.2.", "10.0."] { #expect(refused.err.contains(text), "\(refused)") }
            #expect(try StateDirectory.open(old).replayNames() == [])

            let report = try diverge(old, new)
            #expect(report.status == 2)
            #expect(report.out.contains("not comparable"), "\(report)")
            #expect(report.out.contains("generation 1") && report.out.contains("generation 4"), "\(report)")
        }
    }
}
