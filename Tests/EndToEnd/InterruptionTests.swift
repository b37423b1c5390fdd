// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Runs that do not reach their end: Ctrl-C, a killed tool, a killed QEMU, a full disk.
extension EndToEndTests {
    /// A recording that runs for minutes, and has logged something.
    private func startLongRecording(into directory: String, _ scratch: TemporaryDirectory) throws -> RunningTool {
        let guest = try Products.guest(rounds: 100_000, in: scratch)
        let tool = try RunningTool(Products.tool("tt-record"), recordArguments(guest, into: directory))
        try wait(until: { Files.size("\(directory)/ttd.log") > 100_000 || !tool.isRunning }, "the log grows")
        return tool
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func anInterruptedRecordingIsWhole(signal: Int32) throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let tool = try startLongRecording(into: directory, scratch)
        let qemu = try #require(qemuProcess(of: directory))
        tool.signalGroup(signal)
        let result = try tool.wait()
        #expect(result.status == 0, "\(result)")
        #expect(!isAlive(qemu))

        let log = try LogFile(path: directory)
        #expect(log.completeness == .closed)
        #expect(log.structuralDamage.isEmpty)
        #expect(log.runEnd?.reason == .hostQuit)
        let end = try #require(log.comparableEnd(vcpu: 0))
        #expect(end.clock > 100_000)
        #expect(!Files.exists("\(directory)/ttd.log.open"))

        let again = try replay(directory)
        #expect(again.status == 0, "\(again)")
        try expectSameRun(log, try LogFile(path: "\(directory)/replays/1"), upTo: end.clock)
    }

    @Test func anInterruptedReplayDiffersFromACompleteOne() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let recording = try startLongRecording(into: directory, scratch)
        recording.signal(SIGINT)
        #expect(try recording.wait().status == 0)
        let tool = try RunningTool(Products.tool("tt-replay"), [directory])
        try wait(until: { Files.size("\(directory)/replays/1/ttd.log") > 50_000 || !tool.isRunning }, "the log grows")
        tool.signalGroup(SIGINT)
        let result = try tool.wait()
        #expect(result.status == 2, "\(result)")
        #expect(try LogFile(path: "\(directory)/replays/1").completeness == .closed)
    }

    /// Without tt-record QEMU continues and keeps the directory; when it has ended too, the recording can be replayed
    /// up to its last written entry.
    @Test func aKilledToolAndAKilledQEMU() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let tool = try startLongRecording(into: directory, scratch)
        let qemu = try #require(qemuProcess(of: directory))
        try wait(until: { Files.size("\(directory)/replay.bin") > 0 }, "QEMU has written some of its input log")
        tool.signal(SIGKILL)
        _ = try tool.wait()
        #expect(isAlive(qemu))
        let refused = try replay(directory)
        #expect(refused.status == 2)
        #expect(refused.err.contains("QEMU (process \(qemu))"), "\(refused)")
        kill(qemu, SIGKILL)
        try wait(until: { !isAlive(qemu) }, "QEMU has ended")
        #expect(try Manifest.read("\(directory)/manifest.json").outcome == nil)

        let result = try replay(directory)
        #expect(result.status == 0, "\(result)")
        #expect(result.out.contains("was killed"))
        let log = try LogFile(path: directory)
        #expect(log.completeness == .closed)
        #expect(log.runEnd?.reason == .killed)
        let end = try #require(log.comparableEnd(vcpu: 0))
        try expectSameRun(log, try LogFile(path: "\(directory)/replays/1"), upTo: end.clock)
    }

    @Test func aTimeLimitEndsTheRun() throws {
        let scratch = try temporaryDirectory()
        let guest = try Products.guest(rounds: 100_000, in: scratch)
        let result = try record(guest, into: scratch.file("run"), ["--timeout", "0.5", "--format", "json"])
        #expect(result.status == 0, "\(result)")
        #expect(result.out.contains("\"reason\" : \"host-quit\""))
        #expect(try LogFile(path: scratch.file("run")).runEnd?.reason == .hostQuit)
    }

    /// The guest reaches its end on a disk that is full from some time on; lost records are counted.
    @Test(.enabled(if: geteuid() == 0, "a small tmpfs is mounted, which takes root"))
    func aFullDiskDoesNotStopTheGuest() throws {
        let scratch = try temporaryDirectory()
        let disk = scratch.file("disk")
        try Files.makeDirectory(disk)
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", "size=20m", "tmpfs", disk])
        try #require(mounted.status == 0, "\(mounted)")
        defer { _ = try? run("/bin/umount", ["-l", disk]) }
        let guest = try Products.guest(rounds: 1000, in: scratch)
        let directory = "\(disk)/run"
        let result = try record(guest, into: directory, ["--codec", "raw"])
        #expect(result.status == 2, "\(result)")
        #expect(result.err.contains("could not be written"), "\(result)")
        #expect(Files.tail("\(directory)/serial.log").contains("tiny: end"), "the guest did not reach its end")

        let log = try LogFile(path: directory)
        #expect(log.lostRecords > 1_000_000)
        #expect(log.runEnd?.reason == .guestShutdown)
        #expect(log.comparableEnd(vcpu: 0) == nil)
        let verification = log.verify { _ in }
        #expect(verification.damage.isEmpty, "\(verification.damage)")
        let kept = log.chunks(.branch, vcpu: 0).reduce(0) { $0 + $1.count }
        #expect(kept > 100_000)
        // Every branch is in the log or counted.
        let counted = UInt64(kept + log.chunks(.event, vcpu: 0).reduce(0) { $0 + $1.count })
        let accesses = UInt64(log.chunks(.access, vcpu: 0).reduce(0) { $0 + $1.count })
        #expect(
            counted + accesses + log.lostRecords >= log.attributes["recorder.transitions"].flatMap { UInt64($0) } ?? 0)
    }
}

/// Checks that two logs hold the same branches and events: by their chunks' digests if chunks are complete on both
/// sides, record by record where one ends.
func expectSameRun(_ original: LogFile, _ replay: LogFile, upTo clock: UInt64) throws {
    for stream in [LogStream.branch, .event, .access] {
        let chunks = original.chunks(stream, vcpu: 0)
        let others = replay.chunks(stream, vcpu: 0)
        for (chunk, other) in zip(chunks, others) where chunk.clockLast < clock && other.clockLast < clock {
            guard chunk.count == other.count else { continue }
            #expect(chunk.digests == other.digests, "\(stream) chunk of cell \(chunk.cell)")
        }
    }
    let last = original.chunks(.branch, vcpu: 0).last?.clockFirst ?? 0
    var branches = original.branches(from: min(last, clock), to: clock)
    var others = replay.branches(from: min(last, clock), to: clock)
    while let branch = branches.next() {
        let other = others.next()
        guard branch == other else {
            Issue.record("at branch \(branch.clock): \(branch), in the replay \(String(describing: other))")
            return
        }
    }
}

extension EndToEndTests {
    /// QEMU finds the snapshot's image good, puts the machine into it, and the log is none the worse.
    @Test func aSnapshotOfTheBeginningIsKept() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let result = try record(into: directory, ["--snapshot"])
        #expect(result.status == 0, "\(result)")
        let image = try Files.contents("\(directory)/snap.qcow2")
        #expect(image.count > 512 << 10, "no machine was saved")
        // The number of snapshots in the image's header (big-endian, at byte 60).
        #expect(image[60..<64].elementsEqual([0, 0, 0, 1]))
        let again = try replay(directory)
        #expect(again.status == 0, "\(again)")
        let log = try LogFile(path: directory)
        let end = try #require(log.comparableEnd(vcpu: 0)).clock
        try expectSameRun(log, try LogFile(path: "\(directory)/replays/1"), upTo: end)
    }
}
