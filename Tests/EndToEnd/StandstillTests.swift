// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Recordings whose guest does not go on: it is said, and the recording is none the worse.
extension EndToEndTests {
    /// A guest that halts with interrupts off; while it does, its clock runs on and QEMU's main loop with it.
    @Test func aGuestThatHaltsForGoodIsSaidToHaveHalted() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let options = ["--hang-timeout", "1", "--timeout", "6"]
        let result = try record(Products.guest("halts"), into: directory, options)
        #expect(result.status == 0, "\(result)")
        let words = "the guest has halted at 0x"
        let told = result.err.split(separator: "\n").filter { $0.contains("stood still at instruction") }
        #expect(told.count == 1 && told.allSatisfy { $0.contains(words) && $0.contains("interrupts off") }, "\(result)")
        let outcome = try #require(try Manifest.read("\(directory)/manifest.json").outcome)
        #expect(outcome.reason == .hostQuit)
        #expect(outcome.text.contains("stood still at instruction \(outcome.instructions)"), "\(outcome)")
        #expect(outcome.text.contains(words), "\(outcome)")

        // It is whole: what it replays to is the same.
        let log = try LogFile(path: directory)
        #expect(log.completeness == .closed && log.runEnd?.text == outcome.text)
        let again = try replay(directory, ["--hang-timeout", "20"])
        #expect(again.status == 0, "\(again)")
        let report = try run(Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/1"])
        #expect(report.status == 0, "\(report)")
    }

    /// A guest that works is not said to stand still, though looked at often.
    @Test func aGuestThatWorksDoesNotStandStill() throws {
        let scratch = try temporaryDirectory()
        let guest = try Products.guest(rounds: 100_000, in: scratch)
        let result = try record(guest, into: scratch.file("run"), ["--hang-timeout", "0.5", "--timeout", "2"])
        #expect(result.status == 0 && !result.err.contains("stood still"), "\(result)")
    }
}
