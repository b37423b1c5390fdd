// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import TestSupport
import Testing

/// Costs by call stack, counted in instructions.
@Suite struct FoldedTests {
    private func folded(_ text: String) throws -> [[UInt64]: UInt64] {
        let scratch = try temporaryDirectory()
        try assemble(text, to: scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        var tracker = CallTracker(handlers: HandlerSet(log, vcpu: 0))
        tracker.recordsSteps = true
        var folded = FoldedStacks()
        var cursor = log.branches()
        folded.begin(at: 0)
        while cursor.nextBatch({ batch, range in
            tracker.append(batch, range)
            for step in tracker.steps { folded.take(step, function: step.frame.target, at: step.icount) }
            folded.end(at: batch.icount[range.upperBound - 1])
        }) {}
        var result: [[UInt64]: UInt64] = [:]
        folded.visit { result[$0] = $1 }
        return result
    }

    @Test func instructionsBelongToTheOpenCalls() throws {
        let result = try folded(
            """
            branch 0x1000 -> 0x2000 call! +3
            branch 0x2010 -> 0x3000 call! +5
            branch 0x3010 -> 0x2015 ret +7
            branch 0x2020 -> 0x3000 call! +1
            branch 0x3010 -> 0x2025 ret +7
            branch 0x2030 -> 0x1005 ret +2
            branch 0x1010 -> 0x1000 jmp! +4
            """)
        #expect(result == [[]: 7, [0x2000]: 8, [0x2000, 0x3000]: 14])
    }

    /// A waiting task gains no instructions, and it continues with its frames.
    @Test func switchesKeepTheFramesOfBothStacks() throws {
        let result = try folded(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x7000 call!
            branch 0x7010 -> 0x8000 call!
            branch 0x8010 -> 0x5000 ret
            branch 0x5000 -> 0x6000 call! +100
            branch 0x6010 -> 0x7000 call!
            branch 0x7010 -> 0x8000 call!
            branch 0x8010 -> 0x7015 ret
            branch 0x7030 -> 0x2015 ret
            branch 0x2020 -> 0x1005 ret +1000
            branch 0x1010 -> 0x2000 call!
            branch 0x2010 -> 0x7000 call!
            branch 0x7010 -> 0x8000 call!
            branch 0x8010 -> 0x7015 ret
            branch 0x7030 -> 0x6015 ret
            branch 0x6020 -> 0x5005 ret +2000
            """)
        #expect(result[[0x2000]] == 1002)
        #expect(result[[0x6000]] == 2001)
        let whole: UInt64 = 3113
        #expect(result.values.reduce(0, +) == whole)
    }

    @Test func deepRecursionIsCountedAtTheLimit() throws {
        let result = try folded("repeat 5000 {\nbranch 0x2010 -> 0x2000 call!\n}")
        #expect(result.keys.map(\.count).max() == FoldedStacks.depthLimit)
        #expect(result.values.reduce(0, +) == 5000)
    }
}
