// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import TestSupport
import Testing

/// Several stacks, and logs with missing records.
@Suite struct StackTests {
    /// A scheduler like that of Linux: `switch` (0x8000) returns to the same place in `schedule` (0x7000) on every stack,
    /// and to a different place on the stack of a new task.
    private static let twoTasks = """
        # Task A: main 0x1000 calls wait 0x2000, which calls schedule, which calls switch.
        branch 0x1000 -> 0x2000 call!
        branch 0x2010 -> 0x7000 call!
        branch 0x7010 -> 0x8000 call!
        branch 0x8010 -> 0x5000 ret         # task B begins at 0x5000
        branch 0x5000 -> 0x6000 call!
        branch 0x6010 -> 0x7000 call!
        branch 0x7010 -> 0x8000 call!
        branch 0x8010 -> 0x7015 ret         # back to A, which shows only
        branch 0x7020 -> 0x7100 call!
        branch 0x7110 -> 0x7025 ret
        branch 0x7030 -> 0x2015 ret         # here
        branch 0x2020 -> 0x1005 ret

        """

    @Test func aSwitchIsCorrectedWhenItShows() throws {
        let result = try Tracking.of(Self.twoTasks)
        #expect(result.depths == [1, 2, 3, 0, 1, 2, 3, 2, 3, 2, 1, 0])
        #expect(result.open == [] && result.stack == 0 && result.suspended == 1)
        #expect(result.marks == [.newStack] && result.statistics.switches == 1)
    }

    /// The frames of B that were popped by mistake are open again when B continues.
    @Test func framesPoppedByMistakeAreOpenAgain() throws {
        let result = try Tracking.of(
            Self.twoTasks + """
                branch 0x1010 -> 0x2000 call!
                branch 0x2010 -> 0x7000 call!
                branch 0x7010 -> 0x8000 call!
                branch 0x8010 -> 0x7015 ret         # to B
                branch 0x7030 -> 0x6015 ret
                branch 0x6020 -> 0x5005 ret
                """)
        #expect(result.depths.suffix(6) == [1, 2, 3, 2, 1, 0])
        #expect(result.stack == 1 && result.suspended == 1)
        #expect(result.marks == [.newStack] && result.statistics.switches == 2)
    }

    /// Both tasks wait in the same function, called by different system calls. Only the return to user code differs.
    @Test func tasksThatWaitAtTheSamePlace() throws {
        let result = try Tracking.of(
            """
            let u = 0x400000
            let v = 0x600000
            let k = 0xffffffff81000000
            branch u+0x10 -> u+0x100 call!
            branch u+0x110 -> k syscall
            branch k+0x10 -> k+0x7000 call!
            branch k+0x7010 -> k+0x8000 call!
            branch k+0x8010 -> k+0x5000 ret         # a new task
            branch k+0x5010 -> v iret               # goes to user code
            branch v+0x10 -> v+0x100 call!
            branch v+0x110 -> k syscall
            branch k+0x10 -> k+0x7000 call!
            branch k+0x7010 -> k+0x8000 call!
            branch k+0x8010 -> k+0x7015 ret         # the first task
            branch k+0x7020 -> k+0x15 ret
            branch k+0x20 -> u+0x112 sysret
            branch u+0x120 -> u+0x15 ret
            branch u+0x20 -> k none                 # an interrupt, and a switch
            branch k+0x10 -> k+0x7000 call!
            branch k+0x7010 -> k+0x8000 call!
            branch k+0x8010 -> k+0x7015 ret
            branch k+0x7020 -> k+0x15 ret
            branch k+0x20 -> v+0x112 sysret
            branch v+0x120 -> v+0x15 ret
            """)
        #expect(result.marks == [.newStack] && result.statistics.switches == 2)
        #expect(result.statistics.userReturns == 3 && result.statistics.levelUserReturns == 3)
        #expect(result.frames.map(\.kind) == [.start])
    }

    /// A far jump by push and ret is no switch: the stack continues, and later switches are recognised.
    @Test func aJumpThatLooksLikeANewStack() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x3000 call!
            branch 0x3008 -> 0x3010 jmp!
            branch 0x3010 -> 0x3018 jmp!
            branch 0x3020 -> 0x4000 ret
            branch 0x4010 -> 0x2015 ret
            branch 0x2020 -> 0x1005 ret
            """)
        #expect(result.open == [] && result.stack == 0 && result.suspended == 0)
        #expect(result.marks == [.newStack])
    }

    /// The code that such a jump reaches returns to the caller's caller.
    @Test func aJumpThatReturnsToAnOuterCaller() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x3000 call!
            branch 0x3008 -> 0x3010 jmp!
            branch 0x3010 -> 0x3018 jmp!
            branch 0x3020 -> 0x4000 ret
            branch 0x4010 -> 0x1005 ret
            """)
        #expect(result.open == [] && result.stack == 0 && result.suspended == 0)
        #expect(result.marks == [.newStack, .unwound])
    }

    @Test func aGapStartsWithoutOpenCalls() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x3000 call!
            epoch 5000 9000
            branch 0x4000 -> 0x5000 call!
            branch 0x5010 -> 0x4005 ret
            branch 0x4010 -> 0x2015 ret
            """)
        #expect(result.depths == [1, 2, 1, 0, 0])
        #expect(result.marks == [.gap, .beneath])
    }

    /// Records are missing without a gap; the tracker takes the rest.
    @Test func missingReturnsAreFoundAtTheNextOne() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x3000 call!
            branch 0x3010 -> 0x4000 call!
            branch 0x2020 -> 0x1005 ret
            branch 0x1010 -> 0x2000 call!
            branch 0x2010 -> 0x1015 ret
            """)
        #expect(result.depths == [1, 2, 3, 0, 1, 0])
        #expect(result.marks == [.unwound])
    }

    /// A cursor that skips a damaged chunk leaves a hole in the clock.
    @Test func aHoleInTheClockIsAGap() throws {
        let scratch = try temporaryDirectory()
        try assemble("repeat 10 {\nbranch 0x1000 -> 0x2000 call!\n}", to: scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        var tracker = CallTracker()
        var cursor = log.branches()
        _ = cursor.nextBatch { batch, _ in
            tracker.append(batch, 0..<4)
            #expect(tracker.depth == 4)
            tracker.append(batch, 6..<8)
        }
        #expect(tracker.depth == 2)
        #expect(tracker.statistics[.gap] == 1)
    }
}

/// Logs that no guest writes.
@Suite struct HostileTests {
    /// Random branches among few addresses, so that every explanation fits at times.
    @Test(arguments: 1...8) func randomBranchesAreAccepted(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        var tracker = CallTracker()
        tracker.recordsSteps = true
        var reader = StepReader()
        let places = seed % 2 == 0 ? 8 : 4096
        func address() -> UInt64 {
            let place = UInt64.random(in: 0..<UInt64(places), using: &random) * 3
            return Bool.random(using: &random) ? 0x1000 + place : 0xffff_ffff_8100_0000 + place
        }
        for clock in 0..<200_000 as Range<UInt64> {
            let label = BranchLabel(rawValue: UInt8.random(in: 0...63, using: &random))
            tracker.append(Branch(clock: clock, from: address(), to: address(), icount: clock, label: label))
            reader.take(tracker.steps)
        }
        #expect(reader.frames == tracker.openFrames)
        #expect(UInt64(reader.marks.count) == tracker.statistics.resynchronisations)
        #expect(tracker.suspendedStacks <= 512)
    }

    /// Each call ends with a return to an unknown place. The number of stacks is bounded, and each stack is.
    @Test func stacksAreDropped() {
        var tracker = CallTracker()
        for clock in 0..<100_000 as Range<UInt64> {
            tracker.append(
                Branch(
                    clock: 9 * clock, from: 0x1000, to: 0x2000, icount: 0,
                    label: BranchLabel(.call, hasStaticTarget: true)))
            tracker.append(
                Branch(
                    clock: 9 * clock + 5, from: 0x2010, to: 0x100_0000 + clock << 8, icount: 0, label: BranchLabel(.ret)
                ))
        }
        #expect(tracker.suspendedStacks == 512)
        #expect(tracker.statistics[.newStack] == 100_000)
    }
}
