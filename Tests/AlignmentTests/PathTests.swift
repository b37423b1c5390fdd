// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TestSupport
import Testing

/// The records after a divergence: regions of the paths, shifts of the counters, and open calls.
@Suite("Paths and calls around a divergence")
struct PathTests {
    private func path(_ original: String, _ replay: String) throws -> PathComparison {
        try #require(try Pair(original, replay).compareBothWays().divergence?.context.path)
    }

    @Test("several detours: regions as in a diff, with the shift after each")
    func regions() throws {
        let parts = (0..<4).map { OddLogTests.distinct($0 * 100) }
        let detour = "branch 0x70 -> 0x80 jmp! +2\nbranch 0x80 -> 0x90 jmp! +2"
        let found = try path(
            parts.joined(separator: "\n"),
            [parts[0], detour, parts[1], parts[2], "branch 0x70 -> 0x80 jmp! +2", parts[3]].joined(separator: "\n"))
        #expect(found.regions.map(\.original) == [100..<100, 300..<300])
        #expect(found.regions.map(\.replay) == [100..<102, 302..<303])
        #expect(found.regions.map(\.clockShift) == [2, 3])
        #expect(found.regions.map(\.instructionShift) == [4, 6])
        #expect(found.regions.map(\.agreed) == [200, 100])
        #expect(found.originalDiffering == 0 && found.replayDiffering == 3 && found.agreed == 300)
        #expect(found.openRegion == nil && !found.isCut)
    }

    @Test("branches that cost no instruction: the counters are skewed, the path is the same")
    func counterSkew() throws {
        let (first, second) = (OddLogTests.distinct(0), OddLogTests.distinct(100))
        let found = try path(
            first + "\n" + second,
            [first, "branch 0x70 -> 0x80 jmp! +0", second].joined(separator: "\n"))
        #expect(found.regions.map(\.isCounterSkew) == [true])
        #expect(found.regions.first?.clockShift == 1)
    }

    @Test("a counter that jumps in a loop: many offsets fit for a while, and the one that fits for longer is found")
    func skewInALoop() throws {
        func log(_ gap: String) -> String {
            """
            options features=branches,icount,labels
            \(OddLogTests.distinct(0))
            repeat 40 {
                branch 0x1010 -> 0x1000 jcc! +3
            }
            \(gap)
            repeat 200 {
                branch 0x1010 -> 0x1000 jcc! +3
            }
            \(OddLogTests.distinct(300))
            """
        }
        let alignment = try Pair(log(""), log("epoch 147 420")).compareBothWays()
        #expect(alignment.verdict == .identical)
        #expect(alignment.caveatKinds.contains(.clockSkew))
        // Branches that are missing in one log are no skew.
        let lost = try Pair(log(""), log("epoch 140 420")).compareBothWays()
        #expect(lost.verdict == .identical)
        #expect(!lost.caveatKinds.contains(.clockSkew))
    }

    @Test("runs that never meet again leave an open region")
    func openRegion() throws {
        let first = OddLogTests.distinct(0)
        let found = try path(first + "\n" + OddLogTests.distinct(200), first + "\n" + OddLogTests.distinct(400, 60))
        #expect(found.regions == [])
        #expect(found.openRegion?.original == 100..<200)
        #expect(found.openRegion?.replay == 100..<160)
    }

    @Test("a call that is open for longer than the first window is found")
    func deepStack() throws {
        func log(_ end: String) -> String {
            """
            branch 0x1000 -> 0x2000 call! +3
            branch 0x2010 -> 0x3000 call! +3
            repeat 140000 {
                branch 0x3020 -> 0x3010 jcc! +3
            }
            \(end)
            branch 0x4020 -> 0x4010 jcc! +3
            """
        }
        var options = AlignmentOptions()
        let pair = try Pair(log("branch 0x3030 -> 0x4000 call! +1"), log("branch 0x3030 -> 0x5000 call! +1"))
        let context = try #require(try pair.compare(options).divergence?.context)
        #expect(context.original.stack.frames.map(\.target) == [0x2000, 0x3000])
        #expect(context.original.stack.isComplete)
        #expect(context.original.laterFrames.map(\.target) == [0x2000, 0x3000, 0x4000])
        #expect(context.replay.laterFrames.map(\.target) == [0x2000, 0x3000, 0x5000])
        #expect(context.commonFrames == 2)
        // A stack that reached the limit is marked as incomplete.
        options.stackReach = 1000
        let short = try #require(try pair.compare(options).divergence?.context)
        #expect(short.original.stack.frames == [])
        #expect(!short.original.stack.isComplete)
    }
}
