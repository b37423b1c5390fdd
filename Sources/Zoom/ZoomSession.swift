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
/// the chain begins with memory that differed at the window's start, the sides run again to look for its origin. If one side
/// cannot be run, the window of the other is logged alone (``OneSide``).
public final class ZoomSession {
    /// What is to be explained.
    public enum Place: Sendable {
        /// The paths differ after so many instructions, as the original's log counts them. Branches of both logs around that
        /// place give the log's counts to the instructions of the chain.
        case path(icount: UInt64, original: [Landmark] = [], replay: [Landmark] = [])
        /// The paths differ in a stretch of the original's branches, which its log does not have.
        case cell(Cell)
        /// State differs; when that began is known to be after the first and at or before the second count.
        case state(after: UInt64, upTo: UInt64)
        /// The logs show no difference.
        case anywhere
    }

    /// A branch of a log, to find its place in a window.
    public struct Landmark: Sendable, Hashable {
        /// The instruction that it leaves, and the next one.
        public var (from, to): (UInt64, UInt64)
        /// Instructions begun up to the branch.
        public var icount: UInt64

        /// A branch.
        public init(from: UInt64, to: UInt64, icount: UInt64) {
            (self.from, self.to, self.icount) = (from, to, icount)
        }
    }

    /// A stretch of branches of which a log has the counts only.
    public struct Cell: Sendable, Hashable {
        /// Branches before its first, and its branches.
        public var (clock, branches): (UInt64, UInt64)
        /// Instructions begun up to its first branch, and up to its last.
        public var (icountFirst, icountLast): (UInt64, UInt64)

        /// A stretch.
        public init(clock: UInt64, branches: UInt64, icountFirst: UInt64, icountLast: UInt64) {
            (self.clock, self.branches) = (clock, branches)
            (self.icountFirst, self.icountLast) = (icountFirst, icountLast)
        }
    }

    /// How to zoom.
    public struct Options: Sendable {
        /// How both sides are run; `windowInstructions` is the length of the window before the divergence.
        public var side = ReplaySide.Options()
        /// Seconds; nil for any time.
        public var budget: Double?
        /// Instructions after the divergence that belong to the window.
        public var after: UInt64 = 256
        /// The kernels of both sides, to name the task that runs; nil if a side's is not known, or is not Linux.
        public var kernels: (original: GuestKernel?, replay: GuestKernel?)
        /// Stops at which both sides are compared where the place of the first difference is unknown.
        public var stops = 24

        /// The default options.
        public init() {}
    }

    let originalRun: Result<RepeatableRun, RunError>
    let replayRun: Result<RepeatableRun, RunError>
    let options: Options
    private let progress: (String, Double) -> Void
    private var step = ""
    let limits: Limits
    var result = ZoomResult()

    /// Prepares a zoom of two runs.
    ///
    /// - Parameter progress: called with the step and the share of the run that is done, 0 … 1.
    public convenience init(
        original: RepeatableRun, replay: RepeatableRun, options: Options = Options(),
        progress: @escaping (String, Double) -> Void = { _, _ in }
    ) {
        self.init(original: .success(original), replay: .success(replay), options: options, progress: progress)
    }

    /// Prepares a zoom of two runs, one of which may be none that can be made again: with the reason.
    public init(
        original: Result<RepeatableRun, RunError>, replay: Result<RepeatableRun, RunError>,
        options: Options = Options(), progress: @escaping (String, Double) -> Void = { _, _ in }
    ) {
        originalRun = original
        replayRun = replay
        self.options = options
        self.progress = progress
        limits = Limits(seconds: options.budget)
    }

    /// Explains a difference. What goes wrong is in the result's reason.
    public func explain(_ place: Place) -> ZoomResult {
        result = ZoomResult()
        limits.begin()
        defer { limits.end() }
        do {
            do {
                try runBoth(place)
            } catch let error as SideError {
                try runOne(place, error)
            }
        } catch {
            result.reason = "\(error)"
            let error = error as? ZoomError
            if !result.chain.isEmpty {
                result.outcome = .partial
            } else if error == .interrupted || error == .outOfTime {
                result.outcome = error == .interrupted ? .interrupted : .budget
            } else if result.window == nil {
                result.outcome = .notRun
            }
        }
        return result
    }

    private func runBoth(_ place: Place) throws {
        step = "starting both runs"
        let (original, replay) = (try run(originalRun, isOriginal: true), try run(replayRun, isOriginal: false))
        let sides = try timed(step) { try SidePair(original, replay, options.side, limits, progress: showProgress) }
        result.warnings = sides.original.warnings + sides.replay.warnings
        let places = QEMUPlaces(try QEMUReplayLog(path: sides.original.inputLog))
        // What the files of the runs have put into memory.
        let initial = Set(sides.memoryDifferences().words)
        let search = Search(zoom: self, sides: sides, places: places, initial: initial) { self.step = $0 }
        switch place {
        case .path(let icount, let branches, _): try search.explainPath(icount, branches)
        case .cell(let cell): try search.explainCell(cell)
        case .state(let from, let to): try search.explainState(from: places.range(ofLog: from).lowerBound, to: to)
        case .anywhere: try search.explainAnywhere()
        }
    }

    private func run(_ run: Result<RepeatableRun, RunError>, isOriginal: Bool) throws -> RepeatableRun {
        do throws(RunError) { return try run.get() } catch { throw SideError(isOriginal: isOriginal, error: error) }
    }

    /// Runs the one side that can be run, for a place that this side alone can show.
    private func runOne(_ place: Place, _ error: SideError) throws {
        guard case .path(let icount, let original, let replay) = place,
            case .success(let run) = error.isOriginal ? replayRun : originalRun
        else { throw error }
        step = "starting one run"
        let side: ReplaySide
        do throws(RunError) {
            side = try ReplaySide(run, options: options.side)
        } catch let second {
            throw ZoomError("\(error); \(SideError(isOriginal: !error.isOriginal, error: second))")
        }
        result.onlySide = error.isOriginal ? .replay : .original
        result.warnings = side.warnings
        let places = QEMUPlaces(try QEMUReplayLog(path: side.inputLog))
        let one = OneSide(
            zoom: self, side: side, isOriginal: !error.isOriginal, places: places, limits: limits
        ) { self.step = $0 }
        do {
            try one.explain(icount, error.isOriginal ? replay : original)
        } catch let failure as ZoomError where failure != .interrupted && failure != .outOfTime {
            throw ZoomError("\(error); in the other, \(failure)")
        }
        result.reason = "\(error)"
    }

    /// Shows how far a run is.
    func showProgress(_ count: UInt64) {
        let instructions = [originalRun, replayRun].lazy.compactMap { try? $0.get().manifest.outcome?.instructions }
            .first
        progress(step, min(1, Double(count) / Double(max(1, instructions ?? 1))))
    }

    /// Does a step and notes what it cost, without the steps in it.
    func timed<T>(_ text: String, _ body: () throws -> T) rethrows -> T {
        let (start, count) = (limits.used, result.steps.count)
        defer {
            let inner = result.steps[count...].reduce(0) { $0 + $1.seconds }
            result.steps.append(ZoomResult.Step(text: text, seconds: limits.used - start - inner))
        }
        return try body()
    }
}
