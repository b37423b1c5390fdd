// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// The plugin inside a real QEMU, without the tools around it.
extension EndToEndTests {
    private static let qemu = "/usr/bin/qemu-system-x86_64"

    /// QEMU's arguments for the small guest, with these of the plugin.
    private func arguments(_ plugin: String?, _ icount: String?, _ more: [String] = []) -> [String] {
        var result = [
            "-M", "pc", "-cpu", "qemu64", "-m", "64", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-global", "apic.vapic=off", "-serial", "null", "-device", Products.exitDevice,
            "-kernel", Products.guest("tiny"),
        ]
        if let plugin { result += ["-plugin", "\(Products.plugin),\(plugin)"] }
        if let icount { result += ["-icount", "shift=1,sleep=off,\(icount)"] }
        return result + more
    }

    /// The guest ends QEMU with status 1.
    private func runToItsEnd(_ plugin: String?, _ icount: String?) throws -> ToolResult {
        let result = try run(Self.qemu, arguments(plugin, icount))
        try #require(result.status == 1, "\(result)")
        return result
    }

    /// Each transition found a second time from single instructions; the same run in each mode; and QEMU's own account.
    @Test func transitionsAgreeWithSingleInstructionsAndWithQEMU() throws {
        let scratch = try temporaryDirectory()
        let recording = "rr=record,rrfile=\(scratch.file("replay.bin"))"
        let replaying = "rr=replay,rrfile=\(scratch.file("replay.bin"))"
        _ = try runToItsEnd("log=\(scratch.file("a.log")),run=recording,check=on,mmio=on", recording)
        for mode in ["branches", "digest", "events"] {
            _ = try runToItsEnd("log=\(scratch.file(mode)).log,run=replay,mode=\(mode),check=on,mmio=on", replaying)
        }
        let original = try LogFile(path: scratch.file("a.log"))
        let transitions = try #require(original.attributes["recorder.transitions"])
        #expect(original.attributes["recorder.check"] == "\(transitions) transitions checked, 0 mismatches")
        #expect(original.attributes["recorder.unknown-transitions"] == "0")
        #expect(original.header.features == [.branches, .icount, .labels, .accesses, .mmio])

        let input = try QEMUReplayLog(path: scratch.file("replay.bin"))
        let join = try ReplayJoin.join(original, with: input)
        #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
        #expect(join.restoredFaults == 24)  // one a page that the guest touches for the first time
        #expect(Set(join.causes.map(\.kind)) == Set(JoinedCauseKind.allCases).subtracting([.reset]))

        for mode in ["branches", "digest", "events"] {
            let log = try LogFile(path: scratch.file("\(mode).log"))
            #expect(log.attributes["recorder.transitions"] == transitions, "\(mode)")
            for stream in [LogStream.event, .access] {
                let digests = log.chunks(stream, vcpu: 0).map(\.digests)
                #expect(digests == original.chunks(stream, vcpu: 0).map(\.digests), "\(mode), \(stream)")
            }
            let replayed = try ReplayJoin.join(log, with: input)
            #expect(replayed.transitionsWithoutEvent == 0 && replayed.restoredFaults == 24, "\(mode)")
            #expect(replayed.comparableEnd?.icount == join.comparableEnd?.icount, "\(mode)")
            if mode != "events" {
                let digests = log.chunks(.branch, vcpu: 0).map(\.digests)
                #expect(digests == original.chunks(.branch, vcpu: 0).map(\.digests), "\(mode)")
            }
        }
    }

    @Test func aLogThatCannotBeWrittenLeavesTheGuestAlone() throws {
        let result = try runToItsEnd("log=/nonexistent/a.log", nil)
        #expect(result.err.contains("ttd: /nonexistent/a.log"))
        #expect(result.err.contains("the guest runs without a log"))
    }

    @Test(arguments: [
        ("log=/tmp/never.log,mode=all", [], "argument 'mode=all': expected branches, digest or events"),
        ("mode=events", [], "no log given: add log=PATH"),
        ("log=/tmp/never.log", ["-smp", "2"], "the guest has 2 vCPUs"),
    ]) func whatThePluginCannotDoIsRefusedByName(plugin: String, more: [String], message: String) throws {
        let result = try run(Self.qemu, arguments(plugin, nil, more))
        #expect(result.status == 1)
        #expect(result.err.contains("ttd: \(message)"), "\(result.err)")
        #expect(!Files.exists("/tmp/never.log"))
    }

    /// A guest that is put back unnoticed by the plugin: the log records it, and begins an epoch.
    @Test func aSeekBackBeginsANewEpoch() throws {
        let scratch = try temporaryDirectory()
        let image = scratch.file("snap.qcow2")
        #expect(try run("/usr/bin/qemu-img", ["create", "-q", "-f", "qcow2", image, "256M"]).status == 0)
        let drive = ["-drive", "file=\(image),if=none,id=rr"]
        let files = "rrfile=\(scratch.file("replay.bin")),rrsnapshot=init"
        #expect(try run(Self.qemu, arguments(nil, "rr=record,\(files)", drive)).status == 1)

        let (monitor, far) = try QMPClient.pair()
        let replay = arguments(
            "log=\(scratch.file("ttd.log")),run=replay", "rr=replay,\(files)",
            drive + ["-S", "-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control"])
        let child = try ChildProcess(
            path: Self.qemu, arguments: [Self.qemu] + replay, inheriting: [(far, 3)], output: scratch.file("err"))
        close(far)
        defer { child.endNow() }
        try monitor.negotiate(timeout: 30)
        try monitor.execute("replay-break", arguments: ["icount": .integer(9_000_000)])
        try monitor.execute("cont")
        try waitForIcount(9_000_000, monitor)
        try monitor.execute("replay-seek", arguments: ["icount": .integer(6_000_000)])
        try waitForIcount(6_000_000, monitor)
        try monitor.execute("quit")
        try wait(until: { child.poll() != nil }, "QEMU ends")

        let log = try LogFile(path: scratch.file("ttd.log"))
        #expect(log.attributes["recorder.rewinds"] == "1")
        var events = log.events()
        var rewound: [Event] = []
        while let event = events.next() { if event.kind == .rewound { rewound.append(event) } }
        let event = try #require(rewound.first)
        #expect(rewound.count == 1 && event.values.count == 2)
        #expect(Set(log.chunks(.branch, vcpu: 0).map(\.epoch)) == [0, 1])
        #expect(log.chunks(.branch, vcpu: 0).first { $0.epoch == 1 }?.clockFirst == event.values.first)
        #expect(Files.tail(scratch.file("err")).contains("put back to an earlier point"))
    }

    private func waitForIcount(_ icount: Int64, _ monitor: QMPClient) throws {
        try wait(
            until: {
                try monitor.execute("query-replay")["icount"]?.integer == icount
                    && monitor.execute("query-status")["running"]?.bool == false
            }, "the replay is at \(icount)")
    }
}
