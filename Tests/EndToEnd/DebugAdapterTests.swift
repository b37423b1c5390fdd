// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// tt-dap, driven by a client in Python as an editor drives it (Tests/DebugAdapter).
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct DebugAdapterTests {
        private static let scripts = "\(Products.root)/Tests/DebugAdapter"

        /// Breakpoints, steps over lines forwards and back, variables and places, compared with the run's log.
        @Test(arguments: TravelTests.Version.allCases) func aSessionIsWhereTheLogIs(version: TravelTests.Version) throws
        {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let result = try run(
                "/usr/bin/python3",
                [
                    "\(Self.scripts)/check_session.py", Products.tool("tt-dap"), Products.tool("bts-dump"), directory,
                    "\(Products.root)/hypervisor/guests/tiny",
                ])
            #expect(result.status == 0 && result.out.hasSuffix(" checks\n"), "\(result)")
        }

        /// All messages of a short session are those on docs/dap-session.md. TT_RECORD_SNAPSHOTS=1 writes the page anew, and fails.
        @Test(arguments: TravelTests.Version.allCases) func thePageOfASessionIsWhatIsSaid(
            version: TravelTests.Version
        ) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let result = try run(
                "/usr/bin/python3",
                [
                    "\(Self.scripts)/short_session.py", Products.tool("tt-dap"), directory,
                    "\(Products.root)/hypervisor/guests/tiny", "\(Products.root)/docs/dap-session.md",
                ] + (getenv("TT_RECORD_SNAPSHOTS") == nil ? [] : ["--record"]))
            #expect(result.status == 0, "\(result)")
            print(result.out.split(whereSeparator: \.isNewline).last.map { String($0) } ?? "")
        }

        /// However tt-dap or its client ends, nothing of the replay is left; errors of a launch are answers.
        @Test func nothingIsLeft() throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .old)
            let rounds = getenv("TT_DAP_KILLS").map { String(cString: $0) } ?? "4"
            let result = try run(
                "/usr/bin/python3", ["\(Self.scripts)/check_ends.py", Products.tool("tt-dap"), directory, rounds],
                seconds: 230)
            #expect(result.status == 0, "\(result)")
            let afterwards = try replay(directory)
            #expect(afterwards.status == 0, "\(afterwards)")
        }
    }
}
