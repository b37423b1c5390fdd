// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
import ReplaySession
import RunDirectory

/// Runs both sides of a divergence again and explains it down to an instruction.
///
///     let zoom = ZoomSession(original: try RepeatableRun("run", comparedWith: "run/replays/1"),
///                           replay: try RepeatableRun("run/replays/1", comparedWith: "run"))
///     let result = zoom.explain(.path(icount: 5_838_122))
///     for link in result.chain { print(link.role, link.instruction) }
///
/// Both sides run to a stop before the divergence at full speed. There memory and registers are compared. From there to
/// the divergence, each instruction and each memory access is logged; ``ChainFinder`` walks back through that window. If
/// the chain begins with memory that differed at the window's start, the sides run again to look for its origin.
public final class ZoomSession {
    /// What is to be explained.
    public enum Place: Sendable {
        /// The paths differ after so many instructions, as the original's log counts them.
        case path(icount: UInt64)
        /// State differs; when that began is known to be after the first and at or before the second count.
        case state(after: UInt64, upTo: UInt64)
        /// The logs show no difference.
        case anywhere
    }

    /// How to zoom.
    public struct Options: Sendable {
        /// How both sides are run; `windowInstructions` is the length of the window before the divergence.
        public var side = ReplaySide.Options()
        /// Seconds; nil for any time.
        public var budget: Double?
        /// Instructions after the divergence that belong to the window.
        public var after: UInt64 = 256
        /// Stops at which both sides are compared where the place of the first difference is unknown.
        public var stops = 24

        /// The default options.
        public init() {}
    }

    let originalRun: RepeatableRun
    let replayRun: RepeatableRun
    let options: Options
    let progress: (String, Double) -> Void
    let budget: Budget
    var result = ZoomResult()

    /// - Parameter progress: called with the step and the share of the run that is done, 0 … 1.
    public init(
        original: RepeatableRun, replay: RepeatableRun, options: Options = Options(),
        progress: @escaping (String, Double) -> Void = { _, _ in }
    ) {
        originalRun = original
        replayRun = replay
        self.options = options
        self.progress = progress
        budget = Budget(seconds: options.budget)
    }

    /// Explains a difference. What goes wrong is in the result's reason.
    public func explain(_ place: Place) -> ZoomResult {
        result = ZoomResult()
        do {
            try run(place)
        } catch {
            result.reason = "\(error)"
            if result.window == nil, result.chain.isEmpty {
                result.outcome = (error as? ZoomError) == .outOfTime ? .unexplained : .notRun
            } else if result.outcome == .explained {
                result.outcome = .partial
            }
        }
        return result
    }

    private func run(_ place: Place) throws {
        var step = "starting both runs"
        let length = max(UInt64(1), originalRun.manifest.outcome?.instructions ?? 1)
        let sides = try timed(step) {
            try SidePair(originalRun, replayRun, options.side, budget) { [progress] count in
                progress(step, min(1, Double(count) / Double(length)))
            }
        }
        result.warnings = sides.original.warnings + sides.replay.warnings
        let places = QEMUPlaces(try QEMUReplayLog(path: sides.original.inputLog))
        // What the files of the runs have put into memory.
        let initial = Set(sides.memoryDifferences().words)
        let search = Search(zoom: self, sides: sides, places: places, initial: initial) { step = $0 }
        switch place {
        case .path(let icount): try search.explainPath(icount)
        case .state(let from, let to): try search.explainState(from: places.range(ofLog: from).lowerBound, to: to)
        case .anywhere: try search.explainAnywhere()
        }
    }

    /// Does a step and notes what it cost, without the steps in it.
    func timed<T>(_ text: String, _ body: () throws -> T) throws -> T {
        let (start, count) = (budget.used, result.steps.count)
        defer {
            let inner = result.steps[count...].reduce(0) { $0 + $1.seconds }
            result.steps.append(ZoomResult.Step(text: text, seconds: budget.used - start - inner))
        }
        return try body()
    }
}
