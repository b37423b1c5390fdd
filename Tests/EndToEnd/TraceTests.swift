// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

/// A run that was recorded light is logged in full between two places. A replay that logs everything is the truth.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct TraceTests {
        typealias Version = TravelTests.Version

        private func recorded(_ scratch: TemporaryDirectory, _ version: Version, _ mode: String) throws -> String {
            let directory = scratch.file("run")
            let qemu = version == .new ? ["--qemu", try #require(Products.qemu10)] : []
            let result = try record(
                Products.guest("tiny"), into: directory, ["--memory", "32M", "--mode", mode] + qemu)
            try #require(result.status == 0, "\(result)")
            return directory
        }

        /// The records of a log between two clocks, as text.
        ///
        /// - Parameter withStates: whether digests of registers count: the log has none of a cell that it does not begin. The one
        ///   at the first clock is the cell's before.
        private func records(_ path: String, _ clocks: Range<UInt64>, withStates: Bool = true) throws -> (
            branches: [Branch], events: [String]
        ) {
            let log = try LogFile(path: path)
            var branches: [Branch] = []
            var cursor = log.branches(from: clocks.lowerBound, to: clocks.upperBound)
            while let branch = cursor.next() { branches.append(branch) }
            var events: [String] = []
            var other = log.events([.event, .access], from: clocks.lowerBound, to: clocks.upperBound)
            while let event = other.next() {
                if event.kind == .state, !withStates || event.clock == clocks.lowerBound { continue }
                events.append(
                    "\(event.clock) \(event.kind) \(event.icount) \(event.ip) \(event.info) \(event.validity.rawValue) "
                        + "\(event.payload)")
            }
            return (branches, events.sorted())
        }

        @Test(arguments: Version.allCases, ["digest", "events"])
        func aWindowEqualsTheFullLog(version: Version, mode: String) throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch, version, mode)
            let full = try replay(directory, ["--mode", "branches", "--quiet"])
            try #require(full.status == 0, "\(full)")
            let log = scratch.file("window.log")
            let result = try run(
                Products.tool("tt-replay"), [directory, "--trace", "1200000", "1400000", "-o", log])
            #expect(result.status == 0, "\(result)")
            #expect(result.out.contains("the same as the run's own log"), "\(result)")

            let traced = try LogFile(path: log)
            let end = try #require(traced.comparableEnd(vcpu: 0))
            let from = traced.header.clockBase
            #expect(from <= 1_200_000 && from > 1_000_000 && end.clock >= 1_400_000 && end.clock < 1_600_000)
            if mode == "digest" { #expect(from % 65536 == 0 && end.clock % 65536 == 0) }
            let isDigest = mode == "digest"
            let truth = try records("\(directory)/replays/1", from..<end.clock, withStates: isDigest)
            let found = try records(log, from..<end.clock, withStates: isDigest)
            #expect(truth.branches.count == Int(end.clock - from))
            #expect(truth.branches == found.branches)
            #expect(truth.events == found.events)
            #expect(truth.events.count > 50)
            for arguments in [["diverge", "\(directory)/replays/1", log], ["verify", log]] {
                let result = try run(Products.tool("tt-analyze"), arguments)
                #expect(result.status == 0, "\(result)")
            }
            try expectSameViews(log, "\(directory)/replays/1", from..<end.clock)
            // The name is taken now.
            let second = try run(Products.tool("tt-replay"), [directory, "--trace", "1", "2", "-o", log])
            #expect(second.status == 2 && second.err.contains("File exists"), "\(second)")
        }

        /// bts-dump and sql show of a window what they show of the same stretch of the full log.
        private func expectSameViews(_ log: String, _ full: String, _ clocks: Range<UInt64>) throws {
            let symbols = ["--symbols", Products.guest("tiny")]
            let part = ["--range", "\(clocks.lowerBound + 1000):\(clocks.lowerBound + 3000)"]
            let whole = ["--range", "\(clocks.lowerBound):\(clocks.upperBound)"]
            for view in [part, whole + ["--edges"], whole + ["--function", "sort_numbers", "--format", "csv"]] {
                let answers = try [log, full].map { try run(Products.tool("bts-dump"), view + symbols + [$0]) }
                #expect(answers.allSatisfy { $0.status == 0 }, "\(answers.map(\.err))")
                #expect(answers[0].out == answers[1].out && answers[0].out.utf8.count > 1000, "\(view)")
            }
            let query = """
                SELECT count(*), min(brctr), max(brctr), min(icount), max(icount), sum("from" & 65535), sum("to" & 65535) \
                FROM branch WHERE brctr >= \(clocks.lowerBound) AND brctr < \(clocks.upperBound)
                """
            let answers = try [log, full].map { try run(Products.tool("tt-analyze"), ["sql", $0, query]) }
            #expect(answers.allSatisfy { $0.status == 0 }, "\(answers.map(\.err))")
            #expect(answers[0].out == answers[1].out, "\(answers)")
            #expect(answers[0].out.contains("\(clocks.count)"), "\(answers[0])")
        }

        /// The window goes up to the run's end; the run has no log, so positions are QEMU's.
        @Test(arguments: Version.allCases) func aRunWithoutALogIsTraced(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch, version, "none")
            let full = try replay(directory, ["--mode", "branches", "--quiet"])
            try #require(full.status == 0, "\(full)")
            let log = scratch.file("window.log")
            let result = try run(
                Products.tool("tt-replay"), [directory, "--trace", "@6000000", "@99999999", "-o", log])
            #expect(result.status == 2 && result.err.contains("after the end"), "\(result)")
            let whole = try run(Products.tool("tt-replay"), [directory, "--trace", "@6000000", "end", "-o", log])
            #expect(whole.status == 0, "\(whole)")
            let found = try records(log, 0..<100_000).branches
            let truth = try records("\(directory)/replays/1", 0..<UInt64.max).branches
            // brctr and icount count from the window's beginning, and by QEMU.
            let first = try #require(found.first)
            let start = try #require(
                truth.firstIndex { $0.from == first.from && $0.to == first.to && $0.icount >= first.icount })
            #expect(truth.count - start > found.count)
            for (a, b) in zip(found, truth[start...]) {
                guard a.from == b.from, a.to == b.to, a.label == b.label else {
                    Issue.record("\(a) is not \(b)")
                    break
                }
            }
            #expect(found.count == 100_000)
        }
    }
}
