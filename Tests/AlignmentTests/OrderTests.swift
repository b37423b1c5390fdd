// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TestSupport
import Testing

/// Which element differs first: branches and events at one clock, ordered by the instruction count.
@Suite("The order of elements")
struct OrderTests {
    /// A loop of five instructions that is left or interrupted after some turns.
    private func loop(_ turns: Int, _ event: String) -> String {
        """
        options features=branches,icount,labels,causes,accesses
        repeat \(turns) {
            branch 0x1010 -> 0x1000 jcc! +4
        }
        \(event)
        repeat 20 {
            branch 0x9010 -> 0x9008 jcc! +2
        }
        """
    }

    @Test("an instruction that faults one iteration later: the loop's branch is the divergence, not the fault")
    func lateFault() throws {
        // The loop ends after four instructions, and the fifth faults.
        let fault = "event discontinuity ip=0x1014 info=0 value=0x9000 +4\nbranch 0x1014 -> 0x9000 none +5"
        let alignment = try Pair(loop(5, fault), loop(6, fault)).compareBothWays()
        #expect(alignment.verdict == .controlFlow(.path))
        #expect(alignment.divergence?.difference?.clock == 5)
        #expect(alignment.divergence?.replay.ip == 0x1010)
        #expect(alignment.divergence?.context.lastEvents == [])
        #expect(alignment.divergence?.context.original.nextEvents.map(\.clock) == [5])
        #expect(alignment.divergence?.context.replay.nextEvents.map(\.clock) == [6])
    }

    @Test("an interrupt that is moved by full turns of a loop is a moved event", arguments: [1, 3, 9])
    func movedByTurns(turns: Int) throws {
        // The interrupt comes after the branch of the last turn, and before its target begins.
        let interrupt = "event discontinuity ip=0x1010 info=1 value=0x9000 +3\nbranch 0x1010 -> 0x9000 jcc +4"
        let late = try Pair(loop(5, interrupt), loop(5 + turns, interrupt)).compareBothWays()
        #expect(late.verdict == .movedEvent(transitions: Int64(turns), instructions: Int64(4 * turns)))
        #expect(late.divergence?.difference?.clock == 5)
        let early = try Pair(loop(5 + turns, interrupt), loop(5, interrupt)).compareBothWays()
        #expect(early.verdict == .movedEvent(transitions: -Int64(turns), instructions: -4 * Int64(turns)))
        #expect(early.divergence?.difference?.clock == 5)
    }

    @Test(
        "a branch that one run takes comes before what the other run does instead",
        arguments: [
            "access port-write ip=0x1014 info=1 address=0x80 value=1 +4\nbranch 0x1018 -> 0x1040 jmp! +6",
            "event exception ip=0x1014 info=6 +4\nbranch 0x1014 -> 0x9000 none +5",
        ])
    func untakenBranch(effect: String) throws {
        let (taken, other) = (loop(6, ""), loop(5, effect))
        let missing = try Pair(taken, other).compareBothWays()
        #expect(missing.verdict == .controlFlow(.path))
        #expect(missing.divergence?.difference?.clock == 5)
        #expect(missing.divergence?.original.ip == 0x1010)
        #expect(missing.divergence?.context.replay.nextEvents.count == 1)
        let extra = try Pair(other, taken).compareBothWays()
        #expect(extra.verdict == .controlFlow(.path))
        #expect(extra.divergence?.replay.ip == 0x1010)
    }

    @Test("an access before the branch that differs is the divergence")
    func earlierAccess() throws {
        let access = "access port-write ip=0x1004 info=1 address=0x80 value=1 +1\nbranch 0x1018 -> 0x1040 jmp! +6"
        #expect(try Pair(loop(6, ""), loop(5, access)).compareBothWays().verdict == .extraEvent)
    }

    @Test("an interrupt after a return, before its target begins, is the divergence")
    func interruptAfterReturn() throws {
        func log(_ end: String) -> String {
            loop(5, "branch 0x1014 -> 0x2000 call! +5\n" + end)
        }
        let interrupt = "event interrupt ip=0x1019 info=32 value=0x9000 +3\nbranch 0x2008 -> 0x9000 ret +3"
        let alignment = try Pair(log(interrupt), log("branch 0x2008 -> 0x1019 ret +3")).compareBothWays()
        #expect(alignment.verdict == .missingEvent)
        #expect(alignment.divergence?.difference?.clock == 6)
    }

    @Test("inputs at the divergence's own clock are the nearest ones")
    func inputsAtTheClock() throws {
        let reads = """
            access port-read ip=0x1004 info=1 address=0x60 value=0x1c +1
            access rdtsc ip=0x1008 value=0x77 +2
            """
        let interrupt = "event discontinuity ip=0x1008 info=0 value=0x9000 +2\nbranch 0x1008 -> 0x9000 none +3"
        let missing = try Pair(loop(5, reads + "\n" + interrupt), loop(5, reads + "\nbranch 0x1010 -> 0x1000 jcc! +4"))
            .compareBothWays()
        #expect(missing.verdict == .missingEvent)
        let inputs = try #require(missing.divergence?.context.lastInputs)
        #expect(inputs.map(\.original.kind) == [.rdtsc, .portRead])
        #expect(inputs.map(\.transitions) == [0, 0])
        #expect(inputs.map(\.instructions) == [0, 1])
        #expect(inputs.allSatisfy { $0.replay != nil && !$0.isDifferent })

        let turns =
            "options features=branches,icount,labels,causes,accesses\nrepeat 5 {\nbranch 0x1010 -> 0x1000 jcc! +4\n}\n"
        let ended = try Pair(loop(5, reads), turns + reads + "\nrun-end hung").compareBothWays()
        #expect(ended.verdict == .replayEndedEarly)
        #expect(ended.divergence?.context.lastInputs.map(\.original.kind) == [.rdtsc, .portRead])
    }
}
