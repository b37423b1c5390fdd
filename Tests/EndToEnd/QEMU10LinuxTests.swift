// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

extension EndToEndTests.QEMU10 {
    /// A complete boot of a real kernel: the proofs that the tiny guest is too small for.
    @Suite(LinuxRecording(), .serialized, .timeLimit(.minutes(4)))
    struct Linux {
        private var directory: String { LinuxRecording.current }

        private func diverge(_ replay: String) throws -> ToolResult {
            try run(Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/\(replay)"])
        }

        /// A log's count of wrong addresses, and of checked blocks.
        private func addresses(_ log: LogFile) throws -> (wrong: UInt64, of: UInt64) {
            let text = try #require(log.attributes["recorder.check-addresses"])
            let numbers = text.split(separator: " ").compactMap { UInt64($0) }
            try #require(numbers.count == 2, "\(text)")
            return (numbers[1], numbers[0])
        }

        /// Compared by their logs, with everything on.
        @Test func twoReplaysAreIdentical() throws {
            let original = try LogFile(path: directory)
            let end = try #require(original.comparableEnd(vcpu: 0)).clock
            #expect(end > 100_000_000)
            let recorded = try Manifest.read("\(directory)/manifest.json").outcome
            var wrongStatuses = 0
            for number in 1...2 {
                let result = try replay(directory, ["--name", "\(number)"])
                #expect(result.status == 0, "\(result)")
                #expect(result.out.contains("left over: 0 transitions, 0 events"), "\(result)")
                #expect(try diverge("\(number)").status == 0)
                let alignment = try align(original, LogFile(path: "\(directory)/replays/\(number)"))
                #expect(alignment.vcpus.first?.compared == 0..<end)
                let outcome = try Manifest.read("\(directory)/replays/\(number)/manifest.json").outcome
                if outcome?.process != recorded?.process { wrongStatuses += 1 }
            }
            print("QEMU 10.0's exit status: wrong in \(wrongStatuses) of 2 replays of Linux, all of them identical")
        }

        /// Against QEMU's own account of the same run, and against the join of the branches with replay.bin.
        @Test func causesAreThoseThatQEMUNames() throws {
            let account = "\(directory)/../interrupts.txt"
            // Forced: QEMU's own log is a file that QEMU has open for writing.
            let result = try replay(directory, ["--name", "account", "--", "-d", "int", "-D", account])
            #expect(result.status == 0, "\(result)")
            let log = try LogFile(path: "\(directory)/replays/account")
            let seen = try expectCauses(of: log, reportedIn: account)
            #expect(seen.count > 1000)
            #expect(Set(seen.map(\.vector)).isSuperset(of: [3, 14]))
            // By programs, too.
            #expect(seen.contains { $0.vector == 14 && ($0.errorCode ?? 0) & 4 != 0 })
            #expect(try diverge("account").status == 0)
            #expect(try expectJoinToAgree(with: log, "\(directory)/replay.bin") == seen.count)
        }

        /// Kernel and programs are loaded at addresses of their own each time, and QEMU translates the program's pages
        /// once: still each block's address is rip.
        @Test func addressesAreExactUnderAddressSpaceRandomization() throws {
            let scratch = try temporaryDirectory()
            let random = scratch.file("random")
            let checked = ["--mode", "digest", "--check"]
            try LinuxGuest.record(into: random, randomizingTheKernel: true, checked)
            #expect(try LinuxGuest.kernelAddress(directory) == 0xffff_ffff_8100_0000)
            #expect(try LinuxGuest.kernelAddress(random) != 0xffff_ffff_8100_0000)
            for run in [directory, random] {
                let places = try LinuxGuest.programAddresses(run)
                #expect(places.count == 10 && Set(places).count == 10, "\(places)")
            }
            let log = try LogFile(path: random)
            let transitions = try #require(log.attributes["recorder.transitions"])
            #expect(log.attributes["recorder.check"] == "\(transitions) transitions checked, 0 mismatches")
            #expect(log.attributes["recorder.unknown-transitions"] == "0")
            let (wrong, blocks) = try addresses(log)
            #expect(blocks > 200_000_000)
            #expect(wrong <= 1)  // the reset vector
        }

        /// One constant of the program is changed. The archive is not compressed: only the program reads the four
        /// bytes, and makes numbers of them that no branch depends on.
        @Test func aChangedConstantOfAProgramIsSeenInTheRegisters() throws {
            let changed = try LinuxGuest.file("initramfs-data.cpio")
            let result = try replay(directory, ["--name", "data", "--force", "--initrd", changed])
            #expect(result.status == 0, "\(result)")
            #expect(Files.tail("\(directory)/serial.log") == Files.tail("\(directory)/replays/data/serial.log"))
            let alignment = try align(LogFile(path: directory), LogFile(path: "\(directory)/replays/data"))
            #expect(alignment.verdict == .state)
            let firsts = try #require(alignment.vcpus.first)
            #expect(firsts[.path] == nil && firsts[.event] == nil && firsts[.payload] == nil)
            let clock = try #require(firsts[.state]).clocks.lowerBound

            // The cell is the one in which the program first reached its work.
            let work = try #require(try LinuxGuest.programAddresses(directory).first)
            let began = try #require(try firstBranch(to: work))
            #expect(clock == (began >> 16 + 1) << 16, "the work began at \(began)")
            let report = try diverge("data")
            #expect(report.status == 1)
            #expect(report.out.hasPrefix("state differs\n"), "\(report)")
            #expect(report.out.contains("\(clock - 65536):\(clock)"), "\(report)")
        }

        /// The clock of the recording's first branch to an address.
        private func firstBranch(to address: UInt64) throws -> UInt64? {
            let log = try LogFile(path: directory)
            var batch = BranchBatch()
            for chunk in log.chunks(.branch, vcpu: 0) {
                try log.decode(chunk, into: &batch)
                let targets = batch.to
                if let index = (0..<batch.count).first(where: { targets[$0] == address }) {
                    return batch.clockFirst + UInt64(index)
                }
            }
            return nil
        }
    }
}
