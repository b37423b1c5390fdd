// SPDX-License-Identifier: GPL-2.0-or-later

/// Synthetic pairs of random shapes, each with one difference of a random class at a random place.
public enum RandomPair {
    /// A run with a random rate of events, accesses and state digests; with and without a tail and bases.
    public static func run(_ seed: UInt64, branches: UInt64, _ numbers: inout RandomNumbers) -> SyntheticRun {
        var run = SyntheticRun(seed: seed, branches: branches)
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

    /// A difference. The run may have no such place: `SyntheticPair.write` throws then.
    public static func difference(_ run: SyntheticRun, _ numbers: inout RandomNumbers) -> PlantedDifference {
        let clock = run.options.clockBase + 1 + numbers.below(run.branches - 2)
        let event = numbers.below(max(1, run.branches / run.eventsEvery / 2))
        let access = run.accessesEvery == 0 ? 0 : numbers.below(max(1, run.branches / run.accessesEvery / 2))
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
        case 12 where run.statesEvery > 0:
            return .otherState(ordinal: numbers.below(max(1, run.branches / run.statesEvery)))
        case 13: return .replayEndsEarly(clock: clock)
        case 14: return .originalEndsEarly(clock: clock)
        default: return .none
        }
    }
}
