// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import TestSupport
import Testing

/// Calls and returns of one stack.
@Suite struct CallTests {
    @Test func callsNestAndReturn() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x3000 call-indirect
            branch 0x3004 -> 0x3020 jcc!
            branch 0x3030 -> 0x2012 ret
            branch 0x2020 -> 0x1005 ret
            """)
        #expect(result.depths == [1, 2, 2, 1, 0])
        #expect(result.marks == [] && result.statistics.calls == 2)
    }

    /// The function that is jumped to returns for both functions.
    @Test func tailCallsReturnToTheFirstCaller() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x3000 call!
            branch 0x3004 -> 0x4000 jmp!
            branch 0x4004 -> 0x5000 jmp-indirect
            branch 0x5008 -> 0x2015 ret
            branch 0x2020 -> 0x1005 ret
            """)
        #expect(result.depths == [1, 2, 2, 2, 1, 0])
        #expect(result.marks == [])
    }

    @Test func aLongjmpIsFoundAtTheNextReturn() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!       # main calls f
            branch 0x2000 -> 0x9000 call!       # f calls setjmp
            branch 0x9008 -> 0x2005 ret
            branch 0x2010 -> 0x3000 call!
            branch 0x3010 -> 0x4000 call!
            branch 0x4010 -> 0x9100 call!       # longjmp
            branch 0x9108 -> 0x2005 jmp-indirect
            branch 0x2040 -> 0x1005 ret
            branch 0x1010 -> 0x2000 call!
            """)
        #expect(result.depths == [1, 2, 1, 2, 3, 4, 4, 0, 1])
        #expect(result.marks == [.unwound])
    }

    /// ackermann(m - 1, ackermann(m, n - 1)): two call sites that fit the same return address.
    @Test func theExactCallSiteIsPreferred() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x2000 call!       # returns to 0x2015
            branch 0x2018 -> 0x2000 call!       # returns to 0x201d, 13 bytes after the other
            branch 0x2060 -> 0x201d ret
            branch 0x2060 -> 0x2015 ret
            branch 0x2060 -> 0x1005 ret
            branch 0x1010 -> 0x2000 call!
            branch 0x2018 -> 0x2000 call!
            branch 0x2010 -> 0x2000 call!
            branch 0x2060 -> 0x201d ret         # a longjmp over the inner call: 13 bytes after it, exact one further out
            """)
        #expect(result.depths == [1, 2, 3, 2, 1, 0, 1, 2, 3, 1])
        #expect(result.marks == [.unwound])
    }

    /// 16-bit code: calls of three bytes, and far branches, whose label does not distinguish calls from returns.
    @Test func shortCallsAndFarReturns() throws {
        let result = try Tracking.of(
            """
            branch 0xf1000 -> 0xf2000 call!
            branch 0xf2010 -> 0xf3000 call!
            branch 0xf3010 -> 0xf2013 ret
            branch 0xf2020 -> 0xe0000 far       # not known to call
            branch 0xe0010 -> 0xf2025 far
            branch 0xf2030 -> 0xf1003 far
            """)
        #expect(result.depths == [1, 2, 1, 1, 1, 0])
        #expect(result.marks == [])
    }

    @Test func recursionIsFollowedToItsEnd() throws {
        for depth in [1000, 100_000] {
            let result = try Tracking.of(
                """
                branch 0x1000 -> 0x2000 call!
                repeat \(depth) {
                branch 0x2010 -> 0x2000 call!
                }
                repeat \(depth) {
                branch 0x2020 -> 0x2015 ret
                }
                branch 0x2020 -> 0x1005 ret
                """)
            #expect(result.open == [] && result.marks == [])
            #expect(result.statistics.deepest == depth + 1)
        }
    }

    /// A stack deeper than the limit loses its outermost half, with a mark. The rest stays right.
    @Test func aStackThatIsTooDeepLosesItsOutermostFrames() throws {
        let calls = CallTracker.depthLimit + 10
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            repeat \(calls) {
            branch 0x2010 -> 0x2000 call!
            }
            """)
        #expect(result.marks == [.tooDeep])
        #expect(result.open.count == CallTracker.depthLimit / 2 + 11)
    }

    @Test func returnsBeyondTheBeginningAreCounted() throws {
        let result = try Tracking.of(
            """
            branch 0x2020 -> 0x1805 ret
            branch 0x1820 -> 0x1005 ret
            branch 0x1010 -> 0x2000 call!
            """)
        #expect(result.open == [0x2000])
        #expect(result.marks == [.beneath, .beneath])
    }
}

/// Return instructions that do not return.
@Suite struct ReturnTrickTests {
    /// A retpoline: call over a trap, overwrite the return address, ret.
    @Test func aRetpolineIsAJump() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x8000 call!       # call __x86_indirect_thunk_rax
            branch 0x8000 -> 0x800c call!
            branch 0x8010 -> 0x2000 ret
            branch 0x2010 -> 0x1005 ret
            """)
        #expect(result.depths == [1, 2, 1, 0])
        #expect(result.marks == [] && result.statistics.returnsAsJumps == 1)
        #expect(result.jumps == [0x2000])
    }

    /// The open frame is that of the function, and not that of the thunk that jumps to it.
    @Test func aRetpolineGivesItsTargetAFrame() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x8000 call!       # call __x86_indirect_thunk_rax
            branch 0x8000 -> 0x800c call!
            branch 0x8010 -> 0x2000 ret
            branch 0x2010 -> 0x3000 call!
            """)
        #expect(result.open == [0x2000, 0x3000])
    }

    /// Stubs of a procedure linkage table, and retpolines that the kernel replaced by `lfence`, `jmp *%rax`.
    @Test(arguments: [0, 3, 4] as [UInt64])
    func aThunkThatJumpsGivesItsTargetAFrame(_ distance: UInt64) throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x8000 call!
            branch 0x\(String(0x8000 + distance, radix: 16)) -> 0x2000 jmp-indirect
            branch 0x2010 -> 0x3000 call!
            """)
        #expect(result.open == [0x2000, 0x3000] && result.jumps == [0x2000])
    }

    /// An indirect jump later in a function is a jump table, or a tail call that the tracker cannot distinguish from one.
    @Test(arguments: [
        "branch 0x2006 -> 0x2100 jmp-indirect", "branch 0x2000 -> 0x2006 jmp-indirect",
        "branch 0x2040 -> 0x2100 jmp-indirect", "branch 0x2004 -> 0x2008 jmp!\nbranch 0x200a -> 0x2100 jmp-indirect",
    ])
    func anIndirectJumpWithinAFunctionChangesNoFrame(_ jump: String) throws {
        let result = try Tracking.of("branch 0x1000 -> 0x2000 call!\n\(jump)\nbranch 0x2110 -> 0x3000 call!")
        #expect(result.open == [0x2000, 0x3000])
    }

    @Test func aRetpolineMayBeInterrupted() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x8000 call!
            branch 0x8000 -> 0x800c call!
            branch 0x800c -> 0x9000 none
            branch 0x9010 -> 0x9100 call!
            branch 0x9110 -> 0x9015 ret
            branch 0x9020 -> 0x800c iret
            branch 0x8010 -> 0x2000 ret
            branch 0x2010 -> 0x1005 ret
            """)
        #expect(result.depths == [1, 2, 3, 4, 3, 2, 1, 0])
        #expect(result.marks == [])
    }

    /// Linux fills the return predictor at a switch by calls over a byte and drops their frames.
    @Test func stuffedCallsAreDropped() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            repeat 16 {
            branch 0x2010 -> 0x2016 call!
            branch 0x2016 -> 0x201c call!
            }
            branch 0x2030 -> 0x1005 ret
            """)
        #expect(result.open == [] && result.marks == [])
    }

    /// SeaBIOS switches threads by push and ret to the next lines.
    @Test func aNearReturnIsAJump() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2002 -> 0x2100 jmp!
            branch 0x2104 -> 0x2200 jmp!
            branch 0x2210 -> 0x2211 ret
            branch 0x2220 -> 0x1005 ret
            """)
        #expect(result.depths == [1, 1, 1, 1, 0])
        #expect(result.marks == [])
    }
}
