// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Recordings whose guest makes no progress: it is reported, and the recording stays intact.
extension EndToEndTests {
    /// A guest that halts with interrupts off; while it does, its clock runs on and QEMU's main loop with it.
    @Test func aGuestThatHaltsForGoodIsSaidToHaveHalted() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let options = ["--hang-timeout", "1", "--timeout", "6"]
        let result = try record(Products.guest("halts"), into: directory, options)
        #expect(result.status == 0, "\(result)")
        let words = "the guest has halted at 0x"
        let reports = result.err.split(separator: "\n").filter { $0.contains("made no progress after instruction") }
        #expect(
            reports.count == 1 && reports.allSatisfy { $0.contains(words) && $0.contains("interrupts off") },
            "\(result)")
        let outcome = try #require(try Manifest.read("\(directory)/manifest.json").outcome)
        #expect(outcome.reason == .hostQuit)
        #expect(outcome.text.contains("made no progress after instruction \(outcome.instructions)"), "\(outcome)")
        #expect(outcome.text.contains(words), "\(outcome)")

        // It is complete: its replay is the same.
        let log = try LogFile(path: directory)
        #expect(log.completeness == .closed && log.runEnd?.text == outcome.text)
        let again = try replay(directory, ["--hang-timeout", "20"])
        #expect(again.status == 0, "\(again)")
        let report = try run(Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/1"])
        #expect(report.status == 0, "\(report)")
    }

    /// A guest that works is not reported, even if it is observed often.
    @Test func aGuestThatWorksDoesNotStandStill() throws {
        let scratch = try temporaryDirectory()
        let guest = try Products.guest(rounds: 100_000, in: scratch)
        let result = try record(guest, into: scratch.file("run"), ["--hang-timeout", "0.5", "--timeout", "2"])
        #expect(result.status == 0 && !result.err.contains("made no progress"), "\(result)")
    }

    /// A guest that has halted permanently is ended, and that is no trouble.
    @Test func aGuestThatHaltedForGoodIsEnded() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let result = try record(Products.guest("halts"), into: directory, ["--halt-timeout", "1", "--timeout", "60"])
        #expect(result.status == 0 && result.out.contains("halted permanently"), "\(result)")
        let outcome = try #require(try Manifest.read("\(directory)/manifest.json").outcome)
        #expect(outcome.reason == .hostQuit && !outcome.wasInterrupted && outcome.seconds < 30)
        let again = try replay(directory)
        #expect(again.status == 0, "\(again)")
    }

    /// QEMU's count does not change in a loop without an end on a machine without timers; the log grows.
    @Test func aGuestThatSpinsDoesNotStandStill() throws {
        let scratch = try temporaryDirectory()
        let guest = try Products.guest(rounds: 1_000_000, in: scratch)
        let machine = ["--machine", "microvm,pit=off,pic=off,rtc=off"]
        let result = try record(
            guest, into: scratch.file("run"), machine + ["--hang-timeout", "1", "--timeout", "4"])
        #expect(result.status == 0 && !result.err.contains("made no progress"), "\(result)")
    }

    /// A QEMU that was fetched into the user's cache, or any from version 9 on, comes before an older one in PATH.
    @Test func theNewerQEMUComesFirst() throws {
        let scratch = try temporaryDirectory()
        try Files.makeDirectory(scratch.file("cache/tt-analyze/qemu10"))
        let version = "10.0.2 (not a real one)"
        let text = """
            #!/bin/sh
            [ "$1" = --version ] && echo "QEMU emulator version \(version)" && exit
            exec /usr/bin/\(Products.qemu7) "$@"
            """
        _ = try scratch.write("cache/tt-analyze/qemu10/qemu-system-x86_64", text)
        let arguments = recordArguments(Products.guest("tiny"), into: scratch.file("run")).dropFirst(2)
        let environment = ["-u", "QEMU", "XDG_CACHE_HOME=\(scratch.file("cache"))"]
        let result = try run("/usr/bin/env", environment + [Products.tool("tt-record")] + arguments)
        #expect(result.status == 0, "\(result)")
        #expect(try Manifest.read("\(scratch.file("run"))/manifest.json").engine.version == version)
        let again = try run("/usr/bin/env", environment + [Products.tool("tt-replay"), scratch.file("run")])
        #expect(again.status == 0, "\(again)")
        // Without it there is none of this version.
        let without = try replay(scratch.file("run"))
        #expect(without.status == 2 && without.err.contains(version), "\(without)")
    }
}
