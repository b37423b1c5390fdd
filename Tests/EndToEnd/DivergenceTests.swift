// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
@preconcurrency import Glibc
import LogFormat
import Reporting
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Real replays, some of which differ from their recording. The tests find the first difference a second time, by comparing
/// branch after branch, and compare it with the alignment's.
extension EndToEndTests {
    /// A recording of the small guest in `run`.
    private func recordTiny(_ scratch: TemporaryDirectory, _ more: [String] = []) throws -> String {
        let directory = scratch.file("run")
        let result = try record(into: directory, more)
        try #require(result.status == 0, "\(result)")
        return directory
    }

    private func diverge(_ directory: String, _ name: String, _ more: [String] = []) throws -> ToolResult {
        try run(Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/\(name)"] + more)
    }

    private func aligned(_ directory: String, _ name: String) throws -> AlignmentResult {
        try align(LogFile(path: directory), LogFile(path: "\(directory)/replays/\(name)"))
    }

    /// The line of main.c that contains a text.
    private func line(of text: String) throws -> Int {
        let source = String(
            decoding: try Files.contents("\(Products.root)/hypervisor/guests/tiny/main.c"), as: UTF8.self)
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        return try #require(lines.firstIndex { $0.contains(text) }) + 1
    }

    /// Checks that the alignment finds the first branch that differs, on both sides.
    @discardableResult
    private func expectFirstDifference(_ directory: String, _ name: String) throws -> FirstDifference {
        let expected = try #require(
            try firstDifference(LogFile(path: directory), LogFile(path: "\(directory)/replays/\(name)")))
        let alignment = try aligned(directory, name)
        let path = try #require(alignment.vcpus.first?[.path], "\(alignment.verdict)")
        #expect(path.clock == expected.original.clock)
        #expect(path.original == .branch(expected.original))
        #expect(path.replay == .branch(expected.replay))
        return path
    }

    @Test func faithfulReplaysAreIdentical() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch)
        let original = try LogFile(path: directory)
        let end = try #require(original.comparableEnd(vcpu: 0)).clock
        #expect(end > 1_500_000)
        for (index, options) in [[], [], [], ["--mode", "digest"], ["--codec", "raw"]].enumerated() {
            let name = "\(index + 1)"
            let result = try replay(directory, options)
            #expect(result.status == 0, "\(result)")
            #expect(result.out.contains("left over: 0 transitions, 0 events"), "\(result)")
            let other = try LogFile(path: "\(directory)/replays/\(name)")
            #expect(other.header.uuid == original.header.uuid)
            #expect(other.header.runKind == .replay)
            #expect(try #require(other.comparableEnd(vcpu: 0)).clock == end)
            let report = try diverge(directory, name)
            #expect(report.status == 0, "\(report)")
            let alignment = try aligned(directory, name)
            #expect(alignment.verdict == .identical)
            #expect(alignment.vcpus.first?.compared == 0..<end)
            for stream in [LogStream.branch, .event, .access] {
                let pairs = zip(original.chunks(stream, vcpu: 0), other.chunks(stream, vcpu: 0))
                for (chunk, copy) in pairs { #expect(chunk.digests == copy.digests, "\(stream), cell \(chunk.cell)") }
                #expect(original.chunks(stream, vcpu: 0).count <= other.chunks(stream, vcpu: 0).count)
            }
        }
        #expect(Files.tail("\(directory)/serial.log") == Files.tail("\(directory)/replays/1/serial.log"))
    }

    /// QEMU reports nothing, and the guest prints the same: only the BIOS takes another path.
    @Test func anotherMemorySizeIsSeen() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch)
        let result = try replay(directory, ["--memory", "96M", "--force", "--name", "memory"])
        #expect(result.out.contains("forced: memory: recorded with 128M, now 96M"), "\(result)")
        try expectFirstDifference(directory, "memory")
        // The settings of the two runs explain the difference.
        let text = try diverge(directory, "memory").out
        #expect(text.contains("possible cause"), "\(text)")
        #expect(text.contains("the memory differs: 128M in the original, 96M in the replay"), "\(text)")
        guard case .controlFlow = try aligned(directory, "memory").verdict else {
            Issue.record("\(try aligned(directory, "memory").verdict)")
            return
        }
        #expect(try diverge(directory, "memory").status == 1)
    }

    @Test func oneMoreTurnOfALoopIsSeenInItsLine() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch)
        let kernel = Products.guest("tiny-extra-turn")
        let result = try replay(directory, ["--kernel", kernel, "--force", "--name", "turn"])
        #expect(result.status == 1, "\(result)")
        try expectFirstDifference(directory, "turn")
        let report = try diverge(directory, "turn", ["--symbols", Products.guest("tiny")])
        #expect(report.status == 1)
        let place = "main.c:\(try line(of: "i < steps;"))"
        #expect(report.out.contains(place), "\(report)")
        #expect(report.out.contains("step"), "\(report)")
    }

    /// The runs compute and print different data and take the same branches: a caveat states what the logs cannot show.
    @Test func aChangeOfDataAloneIsNotSeenAndACaveatSaysSo() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch)
        let kernel = Products.guest("tiny-data")
        let result = try replay(directory, ["--kernel", kernel, "--force", "--name", "data"])
        #expect(result.status == 0, "\(result)")
        #expect(Files.tail("\(directory)/serial.log") != Files.tail("\(directory)/replays/data/serial.log"))
        let alignment = try aligned(directory, "data")
        #expect(alignment.verdict == .identical)
        #expect(alignment.caveats.contains { $0.kind == .dataNotSeen })
        #expect(try diverge(directory, "data").status == 0)
    }

    @Test func anInterruptMovedInQEMUsInputLogIsSeen() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch)
        let inputLog = "\(directory)/replay.bin"
        var edited = try ReplayBinEditor(path: inputLog)
        // One of the timer interrupts of the guest's own work, with room after it.
        let interrupts = edited.positions(of: .interrupt)
        var moved = false
        for index in interrupts.dropFirst(interrupts.count / 2) where !moved {
            moved = (try? edited.move(index, by: 7)) != nil
        }
        try #require(moved)
        try edited.write(to: inputLog)

        let result = try replay(directory, ["--name", "moved"])
        #expect(result.out.contains("replay.bin is not as the recording left it"), "\(result)")
        let expected = try expectFirstDifference(directory, "moved")
        let alignment = try aligned(directory, "moved")
        #expect(alignment.verdict.exitStatus == 1)
        let divergence = try #require(alignment.divergence)
        #expect(divergence.original.clock == expected.clock)
        let report = try diverge(directory, "moved", ["--symbols", Products.guest("tiny")])
        #expect(report.status == 1)
        #expect(report.out.contains(".c:"), "\(report)")
    }

    @Test func aTruncatedInputLogEndsTheReplayEarly() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch)
        let inputLog = "\(directory)/replay.bin"
        var edited = try ReplayBinEditor(path: inputLog)
        let writes = edited.positions(of: .charWrite)
        edited.entries.removeSubrange(writes[writes.count / 2]...)
        try edited.write(to: inputLog)
        let result = try replay(directory, ["--name", "short"])
        #expect(result.status == 1, "\(result)")
        #expect(result.out.contains("error reading the replay data"), "\(result)")
        let log = try LogFile(path: "\(directory)/replays/short")
        #expect(log.completeness == .closed)
        let alignment = try aligned(directory, "short")
        #expect(alignment.verdict == .replayEndedEarly)
        let count = UInt64(log.chunks(.branch, vcpu: 0).reduce(0) { $0 + $1.count })
        #expect(alignment.divergence?.replay.clock == count)
        let report = try diverge(directory, "short", ["--symbols", Products.guest("tiny")])
        #expect(report.status == 1)
        #expect(report.out.contains("console.c:"), "\(report)")

        // Only the header is left: no instruction runs, and there is nothing to compare.
        edited.entries = []
        try edited.write(to: inputLog)
        let nothing = try replay(directory, ["--name", "nothing"])
        #expect(nothing.status != 0, "\(nothing)")
        #expect(try diverge(directory, "nothing").status == 2)
    }

    /// 32-bit code, from a kernel that the manifest names: the report names its functions.
    @Test func aMultibootKernelIsNamed() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let recorded = try record(Products.guest("multiboot-50"), into: directory)
        #expect(recorded.status == 0, "\(recorded)")
        #expect(try replay(directory).status == 0)
        let same = try diverge(directory, "1")
        #expect(same.status == 0, "\(same)")

        let other = ["--kernel", Products.guest("multiboot-51"), "--force", "--name", "turn"]
        let replayed = try replay(directory, other)
        #expect(replayed.status == 1, "\(replayed)")
        let report = try diverge(directory, "turn", ["--format", "json"])
        #expect(report.status == 1, "\(report)")
        let divergence = try #require(DivergenceDocument(json: report.out).vcpus.first?.divergence)
        // The replay's loop takes another turn.
        #expect(divergence.replayNext.branches.first?.fromSymbol?.hasPrefix("entry+") == true, "\(report)")
        #expect(divergence.replayNext.branches.contains { $0.toSymbol == "leaf" }, "\(report)")
        #expect(divergence.lastCommonBranches.last?.fromSymbol?.hasPrefix("leaf+") == true, "\(report)")
        #expect(report.err.isEmpty, "\(report.err)")
    }

    /// QEMU waits forever for an instruction count that does not come.
    @Test func aHungReplayIsEndedAndNamed() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch)
        let result = try replay(
            directory, ["--cpu", "Nehalem", "--force", "--name", "cpu", "--hang-timeout", "1"])
        #expect(result.status == 1, "\(result)")
        #expect(result.out.contains("made no progress after instruction"), "\(result)")
        let log = try LogFile(path: "\(directory)/replays/cpu")
        #expect(log.completeness == .closed)
        #expect(log.runEnd?.reason == .hung)
        #expect(log.comparableEnd(vcpu: 0) == nil)
        try expectFirstDifference(directory, "cpu")
        #expect(try diverge(directory, "cpu").status == 1)
    }

    /// A recording of digests shows where its replay differs: the branch if its body is kept, otherwise the cell.
    @Test func aRecordingOfDigestsShowsTheCell() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch, ["--mode", "digest", "--plugin-option", "kept=2"])
        #expect(try replay(directory).status == 0)
        #expect(try diverge(directory, "1").status == 0)
        let kernel = Products.guest("tiny-extra-turn")
        let result = try replay(directory, ["--kernel", kernel, "--force", "--name", "turn", "--mode", "branches"])
        #expect(result.status == 1, "\(result)")
        let alignment = try aligned(directory, "turn")
        #expect(alignment.verdict.exitStatus == 1)

        // The exact place, from a faithful replay that logged everything.
        #expect(try replay(directory, ["--mode", "branches", "--name", "whole"]).status == 0)
        let expected = try #require(
            try firstDifference(
                LogFile(path: "\(directory)/replays/whole"), LogFile(path: "\(directory)/replays/turn")))
        let path = try #require(alignment.vcpus.first?[.path])
        #expect(path.clocks.contains(expected.original.clock))
        #expect(path.clocks.upperBound - path.clocks.lowerBound <= 65536)
    }

    /// The plugin changes nothing: a recording made without it replays with it, the same each time.
    @Test func aRecordingWithoutALogCanBeReplayedWithOne() throws {
        let scratch = try temporaryDirectory()
        let directory = try recordTiny(scratch, ["--mode", "none"])
        #expect(!Files.exists("\(directory)/ttd.log"))
        for _ in 0..<2 { #expect(try replay(directory).status == 0) }
        let (one, two) = ("\(directory)/replays/1", "\(directory)/replays/2")
        let alignment = try align(LogFile(path: one), LogFile(path: two))
        #expect(alignment.verdict == .identical)
        #expect(try #require(alignment.vcpus.first).branchesCompared > 1_500_000)
    }
}

/// The first branch in which two logs differ, found by decoding both.
private func firstDifference(_ original: LogFile, _ replay: LogFile) throws -> (original: Branch, replay: Branch)? {
    var one = BranchBatch()
    var other = BranchBatch()
    for (chunk, copy) in zip(original.chunks(.branch, vcpu: 0), replay.chunks(.branch, vcpu: 0)) {
        try original.decode(chunk, into: &one)
        try replay.decode(copy, into: &other)
        for index in 0..<min(one.count, other.count)
        where one.from[index] != other.from[index] || one.to[index] != other.to[index] {
            return (one[index], other[index])
        }
    }
    return nil
}
