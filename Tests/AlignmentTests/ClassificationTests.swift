// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TestSupport
import Testing

/// Missing, extra and moved events among events that follow at shifted positions.
@Suite("Missing, extra and moved events")
struct ClassificationTests {
    private func log(fault: Int? = nil, statesEvery: UInt64 = 0, _ change: (inout [UInt64]) -> Void = { _ in })
        -> String
    {
        var loop = TimedLoop(fault: fault)
        loop.statesEvery = statesEvery
        change(&loop.ticks)
        return loop.text()
    }

    @Test("one page fault more: an extra event at the touch, though all later ticks are at other addresses")
    func pageFault() throws {
        let extra = try Pair(log(), log(fault: 50)).compareBothWays()
        #expect(extra.verdict == .extraEvent)
        let event = try #require(extra.divergence?.replay)
        #expect(event.ip == 0x1008)
        let missing = try Pair(log(fault: 50), log()).compareBothWays()
        #expect(missing.verdict == .missingEvent)
        #expect(missing.divergence?.original == event)
    }

    @Test(
        "one tick is gone: a missing event at its place, with and without state digests",
        arguments: [0, 16] as [UInt64])
    func missingTick(statesEvery: UInt64) throws {
        let all = log(statesEvery: statesEvery)
        let missing = try Pair(all, log(statesEvery: statesEvery) { $0.remove(at: 4) }).compareBothWays()
        #expect(missing.verdict == .missingEvent)
        // The tick comes after instruction 485 or, if that is a branch, after the next one.
        let position = try #require(missing.divergence?.original.icount)
        #expect((484...486).contains(position))
        let extra = try Pair(log(statesEvery: statesEvery) { $0.remove(at: 4) }, all).compareBothWays()
        #expect(extra.verdict == .extraEvent)
        #expect(extra.divergence?.replay.icount == position)
    }

    @Test("a tick is early or late by less than a period: a moved event")
    func movedTick() throws {
        for distance in [15, 31] as [UInt64] {
            let late = try Pair(log(), log { $0[4] += distance }).compareBothWays()
            guard case .movedEvent(_, let instructions?) = late.verdict else {
                Issue.record("\(late.verdict)")
                continue
            }
            #expect(abs(instructions - Int64(distance)) <= 1)
            let early = try Pair(log { $0[4] += distance }, log()).compareBothWays()
            #expect(early.verdict.kind == .movedEvent)
        }
    }

    @Test("a state digest that only one log has is no difference")
    func stateOnOneSide() throws {
        let text = log(statesEvery: 16)
        let without = text.split(separator: "\n").filter { !$0.hasPrefix("event state") }.joined(separator: "\n")
        #expect(try Pair(text, without).compareBothWays().verdict == .identical)
        #expect(try Pair(without, text).compareBothWays().verdict == .identical)
    }

    @Test("an interrupt that the log names is reported, and not the discontinuity that it makes")
    func namedCause() throws {
        func log(_ turns: Int, _ isThere: Bool = true) -> String {
            let interrupt = """
                event discontinuity ip=0x1010 info=1 value=0x9000 icount=\(4 * turns)
                event interrupt ip=0x1000 info=32 value=0x9000 icount=\(4 * turns)
                branch 0x1010 -> 0x9000 jcc +4
                branch 0x9010 -> 0x1000 iret +4
                """
            return """
                options features=branches,icount,labels,causes
                repeat \(turns) {
                    branch 0x1010 -> 0x1000 jcc! +4
                }
                \(isThere ? interrupt : "")
                repeat \(60 - turns) {
                    branch 0x1010 -> 0x1000 jcc! +4
                }
                """
        }
        let missing = try Pair(log(20), log(20, false)).compareBothWays()
        #expect(missing.verdict == .missingEvent)
        let divergence = try #require(missing.divergence)
        guard case .event(let event) = divergence.difference?.original else {
            Issue.record("\(missing)")
            return
        }
        #expect(event.kind == .interrupt)
        // Both runs are at the same instruction.
        #expect(divergence.replay == divergence.original)
        #expect(divergence.context.lastEvents == [])
        #expect(divergence.context.original.nextEvents.map(\.kind) == [.discontinuity, .interrupt])
        let moved = try Pair(log(20), log(25)).compareBothWays()
        #expect(moved.verdict == .movedEvent(transitions: 5, instructions: 20))
    }

    /// Pairs of known class and place, with and without digests.
    @Test("random faults and ticks", arguments: 1...60 as ClosedRange<UInt64>)
    func random(seed: UInt64) throws {
        var numbers = RandomNumbers(seed: seed)
        let fault = Int(10 + numbers.below(200))
        let tick = Int(2 + numbers.below(12))
        let distance = 2 + numbers.below(80)
        let states: UInt64 = seed % 3 == 0 ? 16 : 0
        let plain = log(statesEvery: states)

        let extra = try Pair(plain, log(fault: fault, statesEvery: states)).compareBothWays()
        #expect(extra.verdict == .extraEvent, "fault in turn \(fault)")
        #expect(extra.divergence?.replay.ip == TimedLoop.faultAddress)
        let missing = try Pair(log(fault: fault, statesEvery: states), plain).compareBothWays()
        #expect(missing.verdict == .missingEvent, "fault in turn \(fault)")
        #expect(missing.divergence?.original.icount == extra.divergence?.replay.icount)

        let without = log(statesEvery: states) { $0.remove(at: tick) }
        let lost = try Pair(plain, without).compareBothWays()
        #expect(lost.verdict == .missingEvent, "tick \(tick)")
        let expected = TimedLoop.ticks[tick]
        #expect(lost.divergence?.original.icount.map { $0 + 2 >= expected && $0 <= expected + 1 } == true)
        #expect(try Pair(without, plain).compareBothWays().verdict == .extraEvent, "tick \(tick)")

        let late = log(statesEvery: states) { $0[tick] += distance }
        let moved = try Pair(plain, late).compareBothWays()
        #expect(moved.verdict.kind == .movedEvent, "tick \(tick) by \(distance): \(moved.verdict)")
        #expect(moved.divergence?.original.icount == lost.divergence?.original.icount)
        #expect(try Pair(late, plain).compareBothWays().verdict.kind == .movedEvent, "tick \(tick) by -\(distance)")
    }
}
