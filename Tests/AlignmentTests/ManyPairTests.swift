// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Glibc
import LogFormat
import TestSupport
import Testing

/// Long pairs with one planted difference at a random place: the class and the place are right, with digests and without.
///
/// TT_SYNTHETIC_PAIRS is the number of pairs of a million branches (`make test` tries few, of 200,000); of every hundred,
/// one has 100 million branches.
@Suite("Many long pairs", .timeLimit(.minutes(60)))
struct ManyPairTests {
    private static let wanted = getenv("TT_SYNTHETIC_PAIRS").flatMap { UInt64(String(cString: $0)) }
    private static let shards: UInt64 = 2

    private static func run(_ number: UInt64, _ numbers: inout RandomNumbers) -> SyntheticRun {
        let branches: UInt64 = wanted == nil ? 200_000 : number % 100 == 99 ? 100_000_000 : 1_000_000
        var run = SyntheticRun(seed: number, branches: branches)
        run.eventsEvery = 300 + numbers.below(2000)
        run.accessesEvery = numbers.below(4) == 0 ? 0 : 200 + numbers.below(2000)
        run.statesEvery = numbers.below(3) == 0 ? 65_536 : 0
        run.tail = numbers.below(3) == 0 ? 0 : 1000
        if numbers.below(4) == 0 {
            run.options.clockBase = 1000 + numbers.below(1 << 40)
            run.options.icountBase = numbers.below(1 << 40)
        }
        return run
    }

    private static func difference(_ run: SyntheticRun, _ numbers: inout RandomNumbers) -> PlantedDifference {
        let clock = run.options.clockBase + 1 + numbers.below(run.branches - 2)
        let event = numbers.below(run.branches / run.eventsEvery / 2)
        let access = run.accessesEvery == 0 ? 0 : numbers.below(run.branches / run.accessesEvery / 2)
        let hasAccess = run.accessesEvery > 0
        let step = Int64(1 + numbers.below(20)) * (numbers.below(2) == 0 ? 1 : -1)
        switch numbers.below(15) {
        case 0: return .otherTarget(clock: clock)
        case 1: return .departure(clock: clock)
        case 2: return .extraBranches(clock: clock, count: 1 + Int(numbers.below(2000)))
        case 3: return .otherLabel(clock: clock)
        case 4: return .moreInstructions(clock: clock, count: 1 + numbers.below(500))
        case 5: return .extraEvent(hasAccess && numbers.below(2) == 0 ? .access : .event, clock: clock)
        case 6: return .missingEvent(.event, ordinal: event)
        case 7 where hasAccess: return .missingEvent(.access, ordinal: access)
        case 8: return .movedEvent(.event, ordinal: event, by: step)
        case 9 where hasAccess: return .movedEvent(.access, ordinal: access, by: step)
        case 10: return .otherPayload(.event, ordinal: event)
        case 11 where hasAccess: return .otherPayload(.access, ordinal: access)
        case 12 where run.statesEvery > 0: return .otherState(ordinal: numbers.below(run.branches / run.statesEvery))
        case 13: return .replayEndsEarly(clock: clock)
        case 14: return .originalEndsEarly(clock: clock)
        default: return .none
        }
    }

    @Test("one difference at a random place", arguments: 0..<shards)
    func pairs(shard: UInt64) throws {
        let count = (Self.wanted ?? 24) / Self.shards
        var numbers = RandomNumbers(seed: 2016 + shard)
        var tried: UInt64 = 0
        var number = shard * count
        while tried < count {
            let run = Self.run(number, &numbers)
            number += 1
            let difference = Self.difference(run, &numbers)
            guard let (pair, expected) = try Pair.planted(run, difference) else { continue }
            tried += 1
            expect(try pair.compareBothWays(), expected, "pair \(number - 1): \(difference)")
        }
        if let wanted = Self.wanted { print("ManyPairTests: \(tried) of \(wanted) pairs, from \(shard * count) on") }
    }
}

/// The verdict, the place and the distance are the expected ones.
func expect(_ alignment: AlignmentResult, _ expected: ExpectedAlignment, _ what: String) {
    #expect(alignment.verdict.name == expected.verdict.rawValue, "\(what)")
    if let clock = expected.clock {
        let found = alignment.divergence.map { $0.difference?.clock ?? $0.original.clock }
        #expect(found == clock, "\(what)")
    } else {
        #expect(alignment.divergence == nil, "\(what)")
    }
    #expect(alignment.divergence?.difference?.stream == expected.stream, "\(what)")
    if let moved = expected.movedBy, case .movedEvent(let transitions, _) = alignment.verdict {
        #expect(transitions == moved, "\(what)")
    }
}
