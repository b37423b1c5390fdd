// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TestSupport
import Testing

@Suite("One planted difference is found at its place")
struct PlantedDifferenceTests {
    /// Small cells, so that a few thousand branches have many boundaries.
    static let cell: UInt64 = 1 << 8

    static func run(seed: UInt64, branches: UInt64 = 3000) -> SyntheticRun {
        var run = SyntheticRun(seed: seed, branches: branches)
        run.options.branchCellShift = 8
        run.options.eventCellShift = 9
        run.options.eventChunkMax = 8
        run.options.accessChunkMax = 16
        run.eventsEvery = 40
        run.accessesEvery = 20
        run.statesEvery = 500
        run.tail = seed % 3 == 0 ? 0 : 100
        run.options.clockBase = seed % 4 == 0 ? 77 : 0
        run.options.icountBase = seed % 4 == 0 ? 1234 : 0
        run.options.isCompressed = seed % 2 == 0
        run.options.keptCells = 2
        return run
    }

    /// The first branch, both sides of cell boundaries, inside, the last.
    static func clocks(of run: SyntheticRun) -> [UInt64] {
        let (start, end) = (run.options.clockBase, run.options.clockBase + run.branches)
        let boundary = 7 * cell
        return [start, boundary - 1, boundary, boundary + 1, boundary + 100, end - 1]
    }

    static func differences(at clock: UInt64, ordinal: UInt64) -> [PlantedDifference] {
        [
            .otherTarget(clock: clock), .departure(clock: clock), .extraBranches(clock: clock, count: 1),
            .extraBranches(clock: clock, count: 700), .otherLabel(clock: clock),
            .moreInstructions(clock: clock, count: 1), .moreInstructions(clock: clock, count: 300),
            .extraEvent(.event, clock: clock), .extraEvent(.access, clock: clock),
            .missingEvent(.event, ordinal: ordinal), .missingEvent(.access, ordinal: ordinal),
            .movedEvent(.event, ordinal: ordinal, by: 1), .movedEvent(.event, ordinal: ordinal, by: -1),
            .movedEvent(.access, ordinal: ordinal, by: 9), .movedEvent(.access, ordinal: ordinal, by: -9),
            .otherPayload(.event, ordinal: ordinal), .otherPayload(.access, ordinal: ordinal),
            .otherState(ordinal: ordinal % 9),
            .replayEndsEarly(clock: clock), .originalEndsEarly(clock: clock),
        ]
    }

    @Test("every class at every kind of place", arguments: 1...8 as ClosedRange<UInt64>)
    func everyClassEverywhere(seed: UInt64) throws {
        let run = PlantedDifferenceTests.run(seed: seed)
        var tried = 0
        for (number, clock) in PlantedDifferenceTests.clocks(of: run).enumerated() {
            let ordinal = [0, 7, 8, 9, 40, 99][number]
            for difference in PlantedDifferenceTests.differences(at: clock, ordinal: UInt64(ordinal)) {
                guard let (pair, expected) = try Pair.planted(run, difference) else { continue }
                tried += 1
                // A log without records shows nothing, not even that a run ended.
                if expected.stream == nil, clock == run.options.clockBase, run.tail == 0 {
                    #expect(try pair.compareBothWays().verdict.exitStatus == 2)
                    continue
                }
                let alignment = try pair.compareBothWays()
                expect(alignment, expected, "seed \(seed), \(difference)")
            }
        }
        #expect(tried > 80)
    }

    /// A difference that leads to a verdict; nil for logs that cannot be compared. The switch is exhaustive on purpose: a
    /// new verdict does not compile until a difference is planted for it.
    private static func difference(for kind: Verdict.Kind, at clock: UInt64) -> PlantedDifference? {
        switch kind {
        case .identical: PlantedDifference.none
        case .controlFlow: .otherTarget(clock: clock)
        case .missingEvent: .missingEvent(.event, ordinal: 7)
        case .extraEvent: .extraEvent(.event, clock: clock)
        case .movedEvent: .movedEvent(.event, ordinal: 7, by: 1)
        case .payload: .otherPayload(.event, ordinal: 7)
        case .state: .otherState(ordinal: 3)
        case .replayEndedEarly: .replayEndsEarly(clock: clock)
        case .originalEndedEarly: .originalEndsEarly(clock: clock)
        case .notComparable: nil
        }
    }

    @Test("each verdict has a difference that leads to it", arguments: Verdict.Kind.allCases)
    func everyVerdict(kind: Verdict.Kind) throws {
        let clock = 7 * PlantedDifferenceTests.cell + 100
        guard let difference = PlantedDifferenceTests.difference(for: kind, at: clock) else { return }
        let pair = try Pair()
        _ = try SyntheticPair(run: PlantedDifferenceTests.run(seed: 1), difference: difference)
            .write(original: pair.original, replay: pair.replay)
        #expect(try pair.compareBothWays().verdict.kind == kind)
    }

    @Test("runs without a difference, or with benign differences only", arguments: 1...8 as ClosedRange<UInt64>)
    func alike(seed: UInt64) throws {
        for difference in [PlantedDifference.none, .benign] {
            let pair = try Pair()
            var run = PlantedDifferenceTests.run(seed: seed)
            run.options.uuid = RecordingUUID(bytes: [1, 2, 3])
            _ = try SyntheticPair(run: run, difference: difference)
                .write(original: pair.original, replay: pair.replay)
            let alignment = try pair.compareBothWays()
            #expect(alignment.verdict == .identical)
            #expect(alignment.vcpus.first?.branchesCompared == run.branches)
            #expect(alignment.caveatKinds == (difference == .none ? [] : [.benign]))
        }
    }
}
