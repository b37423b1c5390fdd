// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// The causes of transitions as the tools show them: joined with QEMU's input log where QEMU shows none.
private enum CauseCases {
    /// `causes: 27 interrupts, 1 exceptions, 29 faults, 8 software interrupts` of a summary or of `info`.
    static func counts(_ text: String) throws -> [Int] {
        let line = try #require(
            text.split(separator: "\n").first { $0.drop { $0 == " " }.hasPrefix("causes") }, "\(text)")
        return line.split(whereSeparator: { !$0.isNumber }).prefix(4).compactMap { Int($0) }
    }

    static func events(_ run: String, _ more: [String]) throws -> ToolResult {
        try EndToEnd.run(Products.tool("tt-analyze"), ["events", run] + more)
    }

    /// The number of rows of some kinds.
    static func count(_ run: String, _ kinds: [String]) throws -> Int {
        let result = try events(run, kinds.flatMap { ["--kind", $0] })
        #expect(result.status == 0, "\(result)")
        return result.out.split(separator: "\n").count
    }

    /// Records and replays the small guest, and compares the counts of the summary, of `info` and of the join.
    static func expectEqualCounts(_ qemu: String, _ scratch: TemporaryDirectory) throws -> [Int] {
        let directory = scratch.file("run")
        let recorded = try record(into: directory, ["--qemu", qemu])
        try #require(recorded.status == 0, "\(recorded)")
        let counts = try counts(recorded.out)
        #expect(counts.count == 4 && counts.allSatisfy { $0 > 0 })
        let replayed = try replay(directory)
        #expect(try CauseCases.counts(replayed.out) == counts, "\(replayed)")
        for run in [directory, "\(directory)/replays/1"] {
            let info = try EndToEnd.run(Products.tool("tt-analyze"), ["info", run])
            #expect(try CauseCases.counts(info.out) == counts, "\(info)")
            let leftovers = try events(run, ["--leftovers"])
            #expect(leftovers.status == 0, "\(leftovers)")
            #expect(leftovers.out.hasPrefix("left over: 0 transitions, 0 events; "), "\(leftovers)")
        }
        return counts
    }
}

extension EndToEndTests {
    @Test func eventsShowTheCausesThatQEMU7Hides() throws {
        let scratch = try temporaryDirectory()
        let counts = try CauseCases.expectEqualCounts(Products.qemu7, scratch)
        let directory = scratch.file("run")
        for run in [directory, "\(directory)/ttd.log", "\(directory)/replays/1"] {
            #expect(try CauseCases.count(run, ["interrupt"]) == counts[0])
            #expect(try CauseCases.count(run, ["exception"]) == counts[1] + counts[2])
            #expect(try CauseCases.count(run, ["software-interrupt"]) == counts[3])
        }
        let rows = try CauseCases.events(directory, ["--kind", "interrupt"]).out.split(separator: "\n")
        #expect(rows.allSatisfy { $0.hasSuffix("[joined]") && $0.contains("interrupt") })
        // The guest's own interrupts lead to its handler.
        #expect(rows.contains { $0.contains("<vector_32>") })

        // All of them in order, and no discontinuity that has a cause.
        let all = try CauseCases.events(directory, ["--format", "csv"]).out.split(separator: "\n").dropFirst()
        let clocks = all.compactMap { $0.split(separator: ",", omittingEmptySubsequences: false).dropFirst(3).first }
            .compactMap { UInt64($0) }
        #expect(clocks.count == all.count && clocks == clocks.sorted())
        #expect(all.filter { $0.hasSuffix(",true") }.count == counts.reduce(0, +))
        #expect(!all.contains { $0.contains(",discontinuity,") })
        let plain = try CauseCases.events(directory, ["--no-causes"])
        #expect(!plain.out.contains("joined") && plain.out.contains("discontinuity"))

        // Without the run's input log there are none.
        try #require(try run("/bin/cp", ["\(directory)/ttd.log", scratch.file("alone.log")]).status == 0)
        let alone = try CauseCases.events(scratch.file("alone.log"), ["--kind", "interrupt"])
        #expect(alone.status == 0 && alone.out.isEmpty && alone.err.contains("discontinuity"), "\(alone)")
    }

    @Test func leftoversAreListedWithTheirReason() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        try #require(try record(into: directory).status == 0)
        var edited = try ReplayBinEditor(path: "\(directory)/replay.bin")
        let interrupts = edited.positions(of: .interrupt)
        let moved = interrupts.dropFirst(interrupts.count / 2).contains { (try? edited.move($0, by: 7)) != nil }
        try #require(moved)
        try edited.write(to: "\(directory)/replay.bin")
        let leftovers = try CauseCases.events(directory, ["--leftovers"])
        #expect(leftovers.status == 1, "\(leftovers)")
        #expect(leftovers.out.contains(JoinLeftover.Reason.noEntry.rawValue), "\(leftovers)")
        let events = try CauseCases.events(directory, ["--kind", "interrupt"])
        #expect(events.status == 0 && events.err.contains("--leftovers"), "\(events)")
    }

    /// The same under QEMU 10.0, whose log has the causes from the kernel's descriptor table on.
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct QEMU10Counts {
        @Test func theSummaryAndInfoCountAlike() throws {
            let scratch = try temporaryDirectory()
            let counts = try CauseCases.expectEqualCounts(try #require(Products.qemu10), scratch)
            let directory = scratch.file("run")
            let own = try CauseCases.count(directory, ["interrupt"])
            #expect(own <= counts[0] && own > 20)
            let events = try CauseCases.events(directory, ["--kind", "interrupt"])
            #expect(!events.out.contains("joined"))
        }
    }
}
