// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Foundation
import LogFormat
import TestSupport
import Testing

@Suite("Logs that are truncated, damaged, elided, or begin later")
struct OddLogTests {
    static func write(_ pair: Pair, _ run: SyntheticRun, _ difference: PlantedDifference) throws {
        _ = try SyntheticPair(run: run, difference: difference).write(original: pair.original, replay: pair.replay)
    }

    @Test("a truncated replay is the beginning of the original, or too short to compare")
    func truncated() throws {
        var verdicts: Set<String> = []
        for seed in 1...4 as ClosedRange<UInt64> {
            let pair = try Pair()
            try OddLogTests.write(pair, PlantedDifferenceTests.run(seed: seed), .none)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: pair.replay))
            var numbers = RandomNumbers(seed: seed)
            for _ in 0..<12 {
                let size = 4096 + Int(numbers.below(UInt64(bytes.count - 4096)))
                try bytes.prefix(size).write(to: URL(fileURLWithPath: pair.replay))
                let alignment = try pair.compareBothWays()
                verdicts.insert(alignment.verdict.name)
                #expect(alignment.caveatKinds.contains(.notClosed))
            }
        }
        // If only the trailer is cut off, the log is complete.
        #expect(verdicts.isSubset(of: ["replay-ended-early", "not-comparable", "identical"]))
        #expect(verdicts.contains("replay-ended-early"))
    }

    @Test("damage in one log: the intact part is compared and gives the verdict")
    func damaged() throws {
        var seen: Set<String> = []
        for seed in 1...6 as ClosedRange<UInt64> {
            let pair = try Pair()
            var run = PlantedDifferenceTests.run(seed: seed)
            run.tail = 0
            let place: UInt64 = 1500 + run.options.clockBase
            try OddLogTests.write(pair, run, seed % 2 == 0 ? .none : .otherTarget(clock: place))
            let good = try Data(contentsOf: URL(fileURLWithPath: pair.replay))
            var numbers = RandomNumbers(seed: seed)
            for _ in 0..<16 {
                var bytes = good
                for _ in 0..<(1 + numbers.below(3)) {
                    let at = 4096 + Int(numbers.below(UInt64(bytes.count - 4096)))
                    bytes[at] ^= UInt8(1 + numbers.below(255))
                }
                try bytes.write(to: URL(fileURLWithPath: pair.replay))
                let alignment = try pair.compareBothWays()
                seen.insert(alignment.verdict.name)
                if case .controlFlow = alignment.verdict, let difference = alignment.divergence?.difference {
                    // Exact, or known to the cell if the cell is damaged.
                    #expect(difference.clocks.contains(place) || difference.clock > place)
                }
            }
        }
        #expect(seen.isSubset(of: ["identical", "control-flow", "replay-ended-early"]))
        #expect(seen.contains("identical"))
        #expect(seen.contains("control-flow"))
    }

    @Test("a chunk with a damaged body is compared by its intact digests")
    func damagedBody() throws {
        let pair = try Pair()
        var run = PlantedDifferenceTests.run(seed: 1)
        run.statesEvery = 0
        try OddLogTests.write(pair, run, .otherTarget(clock: 1000))
        let chunks = try LogFile(path: pair.replay).chunks(.branch, vcpu: 0)
        let hit = try #require(chunks.first { ($0.clockFirst...$0.clockLast).contains(1000) })
        var bytes = try Data(contentsOf: URL(fileURLWithPath: pair.replay))
        bytes[Int(hit.offset) + 192 + 3] ^= 1
        try bytes.write(to: URL(fileURLWithPath: pair.replay))
        let alignment = try pair.compareBothWays()
        #expect(alignment.verdict == .controlFlow(.path))
        #expect(alignment.divergence?.difference?.clocks == hit.clockFirst..<(hit.clockLast + 1))
        #expect(alignment.divergence?.difference?.isExact == false)
    }

    @Test("elided bodies: the difference is known to its cell, and events narrow it")
    func elided() throws {
        let pair = try Pair()
        var run = PlantedDifferenceTests.run(seed: 5)
        run.statesEvery = 0
        run.options.mode = .digest
        try OddLogTests.write(pair, run, .extraBranches(clock: 1100, count: 2))
        let alignment = try pair.compareBothWays()
        #expect(alignment.verdict.exitStatus == 1)
        let vcpu = alignment.vcpus[0]
        let path = try #require(vcpu[.path])
        #expect(path.clocks.contains(1100))
        #expect(!path.isExact)
        #expect(path.clocks.lowerBound == 1024)
        // Everything after the extra branches comes two transitions late. The first event there bounds the range.
        let event = try #require(vcpu[.event])
        #expect(path.clocks.upperBound == event.clock + 1)
        #expect(path.clocks.upperBound < 1280)
        #expect(alignment.caveatKinds.contains(.bodiesElided))

        try OddLogTests.write(pair, run, .none)
        #expect(try pair.compareBothWays().verdict == .identical)
    }

    @Test("a full log against a log of digests")
    func elidedOnOneSide() throws {
        let pair = try Pair()
        let run = PlantedDifferenceTests.run(seed: 5)
        var sparse = run
        sparse.options.mode = .digest
        try run.write(to: pair.original)
        try sparse.write(to: pair.replay, as: .replay)
        #expect(try pair.compareBothWays().verdict == .identical)
        try sparse.write(to: pair.replay, as: .replay, difference: .otherTarget(clock: 1100))
        let path = try pair.compareBothWays().vcpus[0][.path]
        #expect(path?.clocks == 1024..<1280)
    }

    @Test("a killed recorder")
    func unclosed() throws {
        func log(_ end: String) -> String {
            """
            options branch-cell-shift=4
            repeat 40 {
                branch 0x1020 -> 0x1000 jcc! +7
            }
            event interrupt ip=0x1000 info=32
            repeat 10 {
                branch 0x1020 -> 0x1000 jcc! +7
            }
            \(end)
            """
        }
        let same = try Pair(log(""), log("abandon")).compareBothWays()
        #expect(same.verdict == .identical)
        #expect(same.caveatKinds.contains(.notClosed))
        let more = try Pair(log("branch 0x1030 -> 0x1020 ret"), log("abandon")).compareBothWays()
        #expect(more.verdict == .replayEndedEarly)
        #expect(more.divergence?.endReason?.contains("killed") == true)
    }

    @Test("a log that is being written is compared up to its current end")
    func beingWritten() throws {
        let pair = try Pair()
        let text = "repeat 50 {\nbranch 0x1020 -> 0x1000 jcc! +7\n}"
        try assemble(text + "\nevent interrupt ip=0x1000 info=3\nbranch 0x1 -> 0x2", to: pair.original)
        var options = LogWriter.Options()
        options.sealsInline = true
        let writer = try LogWriter(path: pair.replay, options: options)
        for index in 1...20 as ClosedRange<UInt64> {
            writer.branch(from: 0x1020, to: 0x1000, icount: index * 7, label: BranchLabel(.jcc, hasStaticTarget: true))
        }
        // Other descriptions of the file see the writer's lock, as other processes do.
        let alignment = try pair.compareBothWays()
        try writer.close()
        #expect(alignment.verdict == .identical)
        #expect(alignment.caveatKinds.contains(.beingWritten))
        #expect(alignment.vcpus.first?.branchesCompared == 20)
    }

    @Test("a replay that starts from a checkpoint and keeps the counters")
    func startsLater() throws {
        let tail = """
            event interrupt ip=0x1000 info=32
            branch 0x1000 -> 0x9000 none +0
            branch 0x9010 -> 0x1000 iret +4
            """
        let original = "repeat 60 {\nbranch 0x1020 -> 0x1000 jcc! +7\n}\n" + tail
        func replay(_ end: String) -> String {
            "options clock-base=50 icount-base=350\nrepeat 10 {\nbranch 0x1020 -> 0x1000 jcc! +7\n}\n\(end)"
        }
        let same = try Pair(original, replay(tail)).compareBothWays()
        #expect(same.verdict == .identical)
        #expect(same.caveatKinds.contains(.startsLater))
        #expect(same.vcpus.first?.compared == 50..<62)
        let other = replay(tail.replacingLine("branch 0x9010", with: "branch 0x9010 -> 0x1004 iret +4"))
        let alignment = try Pair(original, other).compareBothWays()
        #expect(alignment.verdict == .controlFlow(.path))
        #expect(alignment.divergence?.original.clock == 61)
    }

    /// Branches that occur only once.
    static func distinct(_ first: Int, _ count: Int = 100) -> String {
        (first..<(first + count)).map { "branch \(0x10000 + $0 * 64) -> \(0x10000 + $0 * 64 + 64) jmp! +2" }
            .joined(separator: "\n")
    }

    @Test("a replay with other counter bases is aligned by content")
    func otherBase() throws {
        let original = "options clock-base=1000 icount-base=5000\n" + OddLogTests.distinct(0)
        let replay = "options clock-base=1007 icount-base=70\n" + OddLogTests.distinct(3)
        let alignment = try Pair(original, replay).compareBothWays()
        #expect(alignment.caveatKinds.isSuperset(of: [.clockSkew, .instructionSkew]))
        #expect(alignment.verdict == .originalEndedEarly)
        #expect(alignment.vcpus.first?.branchesCompared == 97)
    }

    @Test("counters that differ after a gap: alignment by content, with and without a difference there")
    func gap() throws {
        func log(_ clock: Int, _ count: Int, _ end: String) -> String {
            """
            options features=branches,icount,labels,causes
            \(OddLogTests.distinct(0, 40))
            epoch \(clock) \(count)
            \(OddLogTests.distinct(100))
            event interrupt ip=0x40 info=3
            \(end)
            """
        }
        let end = "branch 0x50 -> 0x60 ret"
        let same = try Pair(log(1000, 4000, end), log(1005, 4100, end)).compareBothWays()
        #expect(same.verdict == .identical)
        #expect(same.vcpus.first?.branchesCompared == 141)
        #expect(same.caveatKinds.isSuperset(of: [.clockSkew, .instructionSkew, .notCompared]))
        let other = try Pair(log(1000, 4000, end), log(1005, 4100, "branch 0x50 -> 0x70 ret")).compareBothWays()
        #expect(other.verdict == .controlFlow(.path))
        #expect(other.divergence?.original.clock == 1100)
        #expect(other.divergence?.replay.clock == 1105)
        let missing = log(1005, 4100, end).replacingLine("event", with: "")
        #expect(try Pair(log(1000, 4000, end), missing).compareBothWays().verdict == .missingEvent)
    }

    @Test("a gap in one log only: the gap is not compared")
    func gapOnOneSide() throws {
        let original =
            "options features=branches,icount,labels,causes\n" + OddLogTests.distinct(0, 40)
            + "\nevent interrupt ip=0x40 info=3\n" + OddLogTests.distinct(40, 60)
        let replay =
            "options features=branches,icount,labels,causes\n" + OddLogTests.distinct(0, 30)
            + "\nepoch 60 120\n" + OddLogTests.distinct(60, 40)
        let alignment = try Pair(original, replay).compareBothWays()
        #expect(alignment.verdict == .identical)
        #expect(alignment.vcpus.first?.branchesCompared == 70)
        #expect(alignment.caveatKinds.contains(.notCompared))
    }

    @Test("the runs take the same path again after a detour")
    func convergence() throws {
        let pair = try Pair()
        var run = SyntheticRun(seed: 9, branches: 4000)
        run.eventsEvery = 0
        run.accessesEvery = 0
        try OddLogTests.write(pair, run, .extraBranches(clock: 1234, count: 5))
        let detour = try #require(try pair.compareBothWays().divergence?.context.path)
        #expect(detour.regions.map(\.original) == [1234..<1234])
        #expect(detour.regions.map(\.replay) == [1234..<1239])
        #expect(detour.openRegion == nil && !detour.isCut)
        #expect(detour.regions.first?.clockShift == 5)
        #expect(detour.regions.first?.isCounterSkew == false)
        try OddLogTests.write(pair, run, .otherTarget(clock: 1234))
        let single = try #require(try pair.compareBothWays().divergence?.context.path)
        #expect(single.regions.map(\.original) == [1234..<1235])
        #expect(single.regions.map(\.replay) == [1234..<1235])
        #expect(single.regions.first?.agreed == 2765)
        #expect(single.originalDiffering == 1 && single.replayDiffering == 1 && single.agreed == 2765)
    }

    @Test("of identical logs only the directories are read")
    func bytesRead() throws {
        let pair = try Pair()
        try OddLogTests.write(pair, SyntheticRun(seed: 2, branches: 500_000), .none)
        #expect(try pair.compare().statistics.bytesRead == 0)
    }
}
