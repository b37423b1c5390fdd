// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import TestSupport
import Testing

/// Scripts in Tests/Travel that drive tt-replay, tt-gdb and tt-dap, on the small guest.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(6)))
    struct TravelScriptTests {
        typealias Version = TravelTests.Version

        private func check(_ name: String, _ version: Version, _ arguments: [String], seconds: Double = 200) throws {
            let qemu = version == .new ? try #require(Products.qemu10) : Products.qemu7
            let result = try run(
                "/usr/bin/env",
                [
                    "QEMU=\(qemu)", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3",
                    "\(Products.root)/Tests/Travel/\(name).py",
                ]
                    + arguments, seconds: seconds)
            #expect(result.status == 0 && result.out.contains("\(name): "), "\(result)")
            print(result.out.split(whereSeparator: \.isNewline).last.map { String($0) } ?? "")
        }

        private var binaries: String {
            let tool = Products.tool("tt-gdb")
            return String(tool[..<(tool.lastIndex(of: "/") ?? tool.endIndex)])
        }

        /// All commands of QEMU's monitor but those that look, and gdb's packets that write.
        @Test(arguments: Version.allCases) func whatChangesARunIsRefused(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            try check("check_refusals", version, [Products.tool("tt-gdb"), directory])
        }

        /// Places by name, lists of commands, and the line that attaches gdb, compared with the log.
        @Test(arguments: Version.allCases) func placesAndListsAreTheLogs(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let turn = ["--kernel", Products.guest("tiny-extra-turn"), "--force", "--name", "turn"]
            #expect(try replay(directory, turn).status == 1)
            try check("check_lists", version, [binaries, directory, "\(directory)/replays/turn"])
        }

        /// Wrong places, no gdb, a gdb or a QEMU that dies.
        @Test func failuresLeaveNothing() throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .old)
            try check("check_failures", .old, [binaries, directory])
        }

        /// Each tool is killed at random moments, in all its modes. TT_KILLS sets how often.
        @Test func killedToolsLeaveNothing() throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .old)
            let rounds = getenv("TT_KILLS").map { String(cString: $0) } ?? "2"
            try check("check_kills", .old, [binaries, directory, rounds], seconds: 340)
        }
    }
}
