// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Input through the first serial port is recorded and repeats.
extension EndToEndTests {
    private func expectEcho(_ directory: String, _ recorded: ToolResult, _ text: String) throws {
        #expect(recorded.status == 0, "\(recorded)")
        #expect(Files.tail("\(directory)/serial.log").contains(text), "\(recorded)")
        let again = try replay(directory)
        #expect(again.status == 0, "\(again)")
        #expect(Files.tail("\(directory)/replays/1/serial.log") == Files.tail("\(directory)/serial.log"))
        let report = try run(Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/1"])
        #expect(report.status == 0, "\(report)")
    }

    @Test func aScriptSpeaksWithTheGuest() throws {
        let scratch = try temporaryDirectory()
        let script = try scratch.write(
            "script", "expect \"ready\"\nsend \"hallo\"\nexpect \"hallo\"\nwait 0.2\nsend \"q\"\n")
        let directory = scratch.file("run")
        let result = try record(
            Products.guest("echoes"), into: directory, ["--serial", "script:\(script)", "--timeout", "20"])
        try expectEcho(directory, result, "halloq")
        #expect(result.err.contains("serial input"), "\(result)")
    }

    @Test func theBytesOfAFile() throws {
        let scratch = try temporaryDirectory()
        let file = try scratch.write("input", "abcq")
        let directory = scratch.file("run")
        let result = try record(Products.guest("echoes"), into: directory, ["--serial", file, "--timeout", "20"])
        try expectEcho(directory, result, "q")
    }

    @Test func standardInput() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let words =
            [Products.tool("tt-record")]
            + recordArguments(Products.guest("echoes"), into: directory, ["--serial", "stdio", "--timeout", "20"])
        let command = words.map { "'\($0)'" }.joined(separator: " ")
        let result = try run("/bin/sh", ["-c", "(sleep 2; printf xyz; sleep 1; printf q) | \(command)"])
        try expectEcho(directory, result, "xyzq")
        #expect(result.out.contains("xyzq"), "\(result)")
    }
}
