// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import Reporting
import RunDirectory
import TestSupport
import Testing

@testable import Zoom

/// Zooms with less than two whole runs, and what gdb says about the others.
extension EndToEndTests.ZoomTests {
    // MARK: gdb

    /// gdb on both sides sees the instruction that a zoom names first, with its values.
    private func expectGDBAgrees(_ zoom: ToolResult, _ scratch: TemporaryDirectory) throws {
        let document = scratch.file("zoom.json")
        try Files.replace(document, with: Array(zoom.out.utf8))
        let script = "\(Products.root)/Tests/Debugger/check_zoom.py"
        let check = try run("/usr/bin/env", ["python3", script, document], seconds: 120)
        #expect(check.status == 0, "\(check)")
    }

    @Test(arguments: Version.allCases) func gdbSeesTheInstructionThatReadsChangedData(version: Version) throws {
        let scratch = try temporaryDirectory()
        let directory = try recorded(scratch, version)
        _ = try replay(directory, ["--kernel", Products.guest("tiny-data"), "--force", "--name", "data"])
        try expectGDBAgrees(try zoom(directory, "\(directory)/replays/data").result, scratch)
    }

    @Test func gdbSeesTheInstructionThatReadsAChangedClock() throws {
        let scratch = try temporaryDirectory()
        let directory = try recorded(scratch, guest: "clocks")
        let copy = try replayedWithClock(directory, scratch, later: 1)
        try expectGDBAgrees(try zoom(directory, "\(copy)/replays/1", guest: "clocks").result, scratch)
    }

    // MARK: One side

    /// A log alone cannot be run. The other side shows what its decision was made of: with the values of that side.
    @Test(arguments: Version.allCases) func oneSideShowsWhatItsDecisionWasMadeOf(version: Version) throws {
        let scratch = try temporaryDirectory()
        let directory = try recorded(scratch, version)
        _ = try replay(directory, ["--kernel", Products.guest("tiny-extra-turn"), "--force", "--name", "turn"])
        let (replayed, log) = ("\(directory)/replays/turn", scratch.file("alone.log"))
        try #require(try run("/bin/cp", ["\(replayed)/ttd.log", log]).status == 0)
        let (document, zoom, result) = try zoom(directory, log)
        #expect(result.status == 1 && zoom.outcome == .partial && zoom.onlySide == .original, "\(result)")
        #expect(zoom.reason?.contains("the replay cannot be run again") == true, "\(result.out)")
        let decision = try #require(zoom.chain.last, "\(result)")
        let divergence = try #require(document.vcpus.first?.divergence)
        let branched = divergence.replayNext.branches.first
        #expect(decision.icount?.rawValue == branched?.icount.map { $0.rawValue - 1 }, "\(result.out)")
        #expect(decision.role == .decide && decision.ip == branched?.from)
        let load = try #require(zoom.chain.last { $0.role == .load && $0.size == 4 && $0.original?.rawValue == 0 })
        #expect(load.address?.rawValue == (try address(of: "extra_turn")), "\(result.out)")
        #expect(zoom.chain.allSatisfy { $0.replay == nil })
        let compare = try #require(zoom.chain.last { $0.role == .compute && $0.instruction.hasPrefix("cmp") })
        #expect(compare.original != nil, "\(result.out)")
        #expect(zoom.registers?.contains { $0.name == "RIP" } == true)

        // The other way round: the log is the original's.
        try #require(try run("/bin/cp", ["\(directory)/ttd.log", log]).status == 0)
        let (_, other, text) = try self.zoom(log, replayed)
        #expect(other.onlySide == .replay, "\(text.out)")
        #expect(other.chain.contains { $0.address == load.address && $0.replay?.rawValue == 1 }, "\(text.out)")
    }

    // MARK: Digests

    /// Logs of digests know the cell. The zoom names the branch: that of a whole log.
    @Test(arguments: Version.allCases) func aCellIsNarrowedToItsBranch(version: Version) throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let qemu = version == .new ? ["--qemu", try #require(Products.qemu10)] : []
        let options = ["--memory", "32M", "--mode", "digest", "--plugin-option", "kept=2"]
        try #require(try record(Products.guest("tiny"), into: directory, options + qemu).status == 0)
        let kernel = ["--kernel", Products.guest("tiny-extra-turn"), "--force"]
        _ = try replay(directory, kernel + ["--name", "digest"])
        _ = try replay(directory, kernel + ["--name", "whole", "--mode", "branches"])
        _ = try replay(directory, ["--name", "original", "--mode", "branches"])
        let (document, zoom, result) = try zoom(directory, "\(directory)/replays/digest", ["--zoom-window", "2000000"])
        let place = try #require(document.vcpus.first?.divergence)
        #expect(place.isExact != true, "\(result.out)")
        let whole = try run(
            Products.tool("tt-analyze"),
            ["diverge", "\(directory)/replays/original", "\(directory)/replays/whole", "--format", "json"])
        let exact = try #require(try DivergenceDocument(json: whole.out).vcpus.first?.divergence)
        let branch = try #require(zoom.branch, "\(result.out)")
        let branched = try #require(exact.replayNext.branches.first)
        #expect(branch.ip == branched.from && branch.brctr == branched.brctr, "\(result.out)")
        #expect(branch.icount?.rawValue == branched.icount.map { $0.rawValue - 1 }, "\(result.out)")
        #expect(zoom.outcome == .explained && zoom.origin == .file, "\(result.out)")
        #expect(zoom.chain.first?.address?.rawValue == (try address(of: "extra_turn")))
    }

    // MARK: Interruption

    @Test func anInterruptedZoomSaysSo() throws {
        let scratch = try temporaryDirectory()
        let directory = try recorded(scratch)
        _ = try replay(directory, ["--kernel", Products.guest("tiny-extra-turn"), "--force", "--name", "turn"])
        let replayed = "\(directory)/replays/turn"
        let tool = try RunningTool(
            Products.tool("tt-analyze"), ["diverge", directory, replayed, "--zoom", "--format", "json"])
        let children = "/proc/\(tool.pid)/task/\(tool.pid)/children"
        try wait(
            until: { (try? Files.contents(children)).map { !$0.isEmpty } ?? true || !tool.isRunning }, "QEMU runs")
        tool.signalGroup(SIGINT)
        let result = try tool.wait()
        let zoom = try #require(try DivergenceDocument(json: result.out).zoom, "\(result)")
        #expect(result.status == 1 && zoom.outcome == .interrupted, "\(result)")
        #expect(zoom.reason == "it was interrupted")
    }
}
