// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import TestSupport
import Testing

@testable import ReplaySession
@testable import RunDirectory

/// Faithful runs whose log and replay.bin are hard to join: each must join without a leftover and replay identically.
private enum JoinCases {
    /// What restarts.S and resets.S have besides the BIOS's causes, by guest: software interrupts and resets.
    static let restarts: [(guest: String, interrupts: Int)] = [
        ("restarts-1", 3), ("restarts-2", 3), ("restarts-3", 3), ("restarts-4", 3), ("restarts-5", 3),
        ("restarts-6", 6),
    ]
    static let resets = ["resets-1", "resets-2", "resets-3"]

    static let resetVector: UInt64 = 0xffff_fff0
    static let guestCode: Range<UInt64> = 0x10_0000..<0x20_0000

    /// Records and replays a guest, and expects neither a leftover nor a difference. Returns the recording's join.
    static func join(_ guest: String, qemu: String?, _ scratch: TemporaryDirectory) throws -> ReplayJoin {
        let directory = scratch.file("run")
        let selection = qemu.map { ["--qemu", $0] } ?? []
        let result = try record(
            Products.guest(guest), into: directory, selection + ["--check", "--", "-action", "reboot=reset"])
        try #require(result.status == 0, "\(result)")
        let replayed = try replay(directory)
        #expect(replayed.status == 0, "\(replayed)")
        let report = try run(Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/1"])
        #expect(report.status == 0, "\(report)")
        let log = try LogFile(path: directory)
        let transitions = try #require(log.attributes["recorder.transitions"])
        #expect(log.attributes["recorder.check"] == "\(transitions) transitions checked, 0 mismatches")
        for path in [directory, "\(directory)/replays/1"] {
            let join = try ReplayJoin.join(
                LogFile(path: path), with: QEMUReplayLog(path: "\(directory)/replay.bin"))
            #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0, "\(path)")
        }
        return try ReplayJoin.join(log, with: QEMUReplayLog(path: "\(directory)/replay.bin"))
    }

    /// The restarts and the software interrupts of the guest's own code are counted exactly.
    static func expectRestarts(_ guest: String, interrupts: Int, qemu: String?, _ scratch: TemporaryDirectory) throws {
        let join = try join(guest, qemu: qemu, scratch)
        let own = join.causes.filter { guestCode.contains($0.from) }
        #expect(own.allSatisfy { $0.kind == .softwareInterrupt })
        #expect(own.count == interrupts)
        #expect(join.restoredFaults == 0)
        #expect((join.uncounted > 0) == (guest == "restarts-6"))
    }

    /// Each transition to the reset vector is a reset, and the run has no invented fault.
    static func expectResets(_ guest: String, qemu: String?, _ scratch: TemporaryDirectory) throws {
        let join = try join(guest, qemu: qemu, scratch)
        let resets = join.causes.filter { $0.kind == .reset }
        #expect(resets.count >= (guest == "resets-3" ? 2 : 1))
        #expect(resets.allSatisfy { $0.to == resetVector })
        #expect(resets.contains { guestCode.contains($0.from) })
        #expect(!join.causes.contains { $0.kind == .fault || $0.kind == .exception })
    }
}

extension EndToEndTests {
    @Test(arguments: JoinCases.restarts)
    func restartedInstructionsLeaveNothingOver(guest: String, interrupts: Int) throws {
        try JoinCases.expectRestarts(guest, interrupts: interrupts, qemu: nil, temporaryDirectory())
    }

    @Test(arguments: JoinCases.resets) func resetsOfTheGuestLeaveNothingOver(guest: String) throws {
        try JoinCases.expectResets(guest, qemu: nil, temporaryDirectory())
    }

    /// The same under QEMU 10.0.
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct QEMU10Joins {
        @Test(arguments: JoinCases.restarts)
        func restartedInstructionsLeaveNothingOver(guest: String, interrupts: Int) throws {
            try JoinCases.expectRestarts(
                guest, interrupts: interrupts, qemu: Products.qemu10, temporaryDirectory())
        }

        @Test(arguments: JoinCases.resets) func resetsOfTheGuestLeaveNothingOver(guest: String) throws {
            try JoinCases.expectResets(guest, qemu: Products.qemu10, temporaryDirectory())
        }
    }
}
