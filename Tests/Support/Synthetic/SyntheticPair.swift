// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Two logs of one synthetic run that differ in one planted place, and the expected result of their alignment.
///
///     var pair = SyntheticPair(run: SyntheticRun(seed: 7, branches: 200_000))
///     pair.difference = .missingEvent(.event, ordinal: 12)
///     let expected = try pair.write(original: "a.log", replay: "b.log")
public struct SyntheticPair: Sendable {
    public var run: SyntheticRun
    public var difference: PlantedDifference

    public init(run: SyntheticRun, difference: PlantedDifference = .none) {
        self.run = run
        self.difference = difference
    }

    /// The difference names a place that the run does not have.
    public struct NoSuchPlace: Error, CustomStringConvertible {
        public var difference: PlantedDifference
        public var description: String { "the run has no place for \(difference)" }
    }

    /// Writes both logs.
    public func write(original: String, replay: String) throws -> ExpectedAlignment {
        let first = try run.write(to: original, as: .recording, difference: difference)
        let second = try run.write(to: replay, as: .replay, difference: difference)
        return try expected(first, second)
    }

    private func expected(_ original: SyntheticRun.Counts, _ replay: SyntheticRun.Counts) throws -> ExpectedAlignment {
        typealias Answer = ExpectedAlignment
        let end = run.options.clockBase + run.branches
        let place = replay.plantedClock ?? original.plantedClock
        func found() throws -> UInt64 {
            guard let place, place < end else { throw NoSuchPlace(difference: difference) }
            return place
        }
        switch difference {
        case .none, .benign: return Answer(verdict: .identical)
        case .otherTarget, .departure, .extraBranches, .otherLabel, .moreInstructions:
            return Answer(verdict: .controlFlow, clock: try found(), stream: .branch)
        case .missingEvent(let stream, _): return Answer(verdict: .missingEvent, clock: try found(), stream: stream)
        case .extraEvent(let stream, _): return Answer(verdict: .extraEvent, clock: try found(), stream: stream)
        case .movedEvent(let stream, _, _):
            guard let from = original.plantedClock, let to = replay.movedClock, from != to else {
                throw NoSuchPlace(difference: difference)
            }
            return Answer(
                verdict: .movedEvent, clock: min(from, to), stream: stream,
                movedBy: Int64(bitPattern: to) - Int64(bitPattern: from))
        case .otherPayload(let stream, _): return Answer(verdict: .payload, clock: try found(), stream: stream)
        case .otherState: return Answer(verdict: .state, clock: try found(), stream: .event)
        case .replayEndsEarly(let clock):
            guard clock < end else { throw NoSuchPlace(difference: difference) }
            return Answer(verdict: .replayEndedEarly, clock: clock)
        case .originalEndsEarly(let clock):
            guard clock < end else { throw NoSuchPlace(difference: difference) }
            return Answer(verdict: .originalEndedEarly, clock: clock)
        }
    }
}
