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

    /// QEMU with the plugin and one guest, for a run that the test controls.
    static func arguments(_ qemu: String, _ guest: String, _ log: String, _ icount: String, _ serial: String)
        -> [String]
    {
        [
            qemu, "-M", "pc", "-cpu", "qemu64", "-m", "64", "-nodefaults", "-no-user-config", "-display", "none",
            "-global", "apic.vapic=off", "-serial", serial, "-device", Products.exitDevice, "-kernel",
            Products.guest(guest), "-plugin", "\(Products.plugin),\(log)", "-icount", "shift=7,sleep=off,\(icount)",
            "-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
        ]
    }

    /// The operator resets the guest while it computes; the replay repeats the reset at the same instruction.
    static func expectOperatorsReset(qemu: String, _ scratch: TemporaryDirectory) throws {
        for (name, run) in [("record", "recording"), ("replay", "replay")] {
            let (monitor, far) = try QMPClient.pair()
            let child = try ChildProcess(
                path: qemu,
                arguments: arguments(
                    qemu, "resets-4", "log=\(scratch.file("\(name).log")),run=\(run)",
                    "rr=\(name),rrfile=\(scratch.file("replay.bin"))", "file:\(scratch.file(name))"),
                inheriting: [(far, 3)], output: scratch.file("err"))
            close(far)
            defer { child.endNow() }
            try monitor.negotiate(timeout: 30)
            if name == "record" {
                try wait(until: { Files.tail(scratch.file(name)).contains("W") }, "the guest waits")
            }
            // QEMU records the place of the reset and not the request: in the replay, the request waits for its place.
            try monitor.execute("system_reset", timeout: 30)
            try wait(until: { child.poll() != nil }, "QEMU ends")
            #expect(Files.tail(scratch.file(name)) == "WE")
        }
        let input = try QEMUReplayLog(path: scratch.file("replay.bin"))
        let joins = try ["record", "replay"].map {
            try ReplayJoin.join(LogFile(path: scratch.file("\($0).log")), with: input)
        }
        for join in joins {
            #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
            #expect(join.causes.contains { $0.kind == .reset && guestCode.contains($0.from) })
        }
        #expect(joins[0].causes == joins[1].causes)
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

    @Test func aResetByTheOperatorLeavesNothingOver() throws {
        try JoinCases.expectOperatorsReset(qemu: "/usr/bin/qemu-system-x86_64", temporaryDirectory())
    }

    /// The operator has a monitor of his own; the tool that replays asks for the reset again.
    @Test func aResetByTheOperatorIsNoFailure() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let socket = scratch.file("monitor")
        let monitor = ["--", "-action", "reboot=reset", "-qmp", "unix:\(socket),server=on,wait=off"]
        let recording = try RunningTool(
            Products.tool("tt-record"),
            recordArguments(Products.guest("resets-4"), into: directory, ["--shift", "7", "--sleep", "off"] + monitor))
        try wait(until: { Files.tail("\(directory)/serial.log").contains("W") }, "the guest waits")
        let command = #"{"execute":"qmp_capabilities"}{"execute":"system_reset"}"#
        let script = """
            import socket, sys
            monitor = socket.socket(socket.AF_UNIX)
            monitor.connect(sys.argv[1])
            monitor.sendall(sys.argv[2].encode())
            while b"RESET" not in monitor.recv(4096): pass
            """
        let asked = try run("/usr/bin/env", ["python3", "-c", script, socket, command])
        #expect(asked.status == 0, "\(asked)")
        let recorded = try recording.wait()
        #expect(recorded.status == 0 && Files.tail("\(directory)/serial.log") == "WE", "\(recorded)")
        #expect(try Manifest.read("\(directory)/manifest.json").outcome?.resets?.first == .operator)
        let replayed = try replay(directory, ["--trust"])
        #expect(replayed.status == 0, "\(replayed)")
        #expect(replayed.out.contains("left over: 0 transitions, 0 events"), "\(replayed)")
        #expect(Files.tail("\(directory)/replays/1/serial.log") == "WE")
        let report = try run(Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/1"])
        #expect(report.status == 0, "\(report)")
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

        @Test func aResetByTheOperatorLeavesNothingOver() throws {
            try JoinCases.expectOperatorsReset(qemu: try #require(Products.qemu10), temporaryDirectory())
        }
    }
}
