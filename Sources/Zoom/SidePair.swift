// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import ReplaySession
import RunDirectory

/// Both sides, run in parallel and stopped at the same places.
final class SidePair {
    let original: ReplaySide
    let replay: ReplaySide
    /// Called while the sides run, with the original's instruction count.
    private let progress: (UInt64) -> Void
    private let budget: Budget
    private let signals = SignalWatch()

    init(
        _ original: RepeatableRun, _ replay: RepeatableRun, _ options: ReplaySide.Options, _ budget: Budget,
        progress: @escaping (UInt64) -> Void
    ) throws {
        do throws(RunError) {
            self.original = try ReplaySide(original, options: options)
        } catch {
            throw ZoomError("the original cannot be run again: \(error)")
        }
        do throws(RunError) {
            self.replay = try ReplaySide(replay, options: options)
        } catch {
            throw ZoomError("the replay cannot be run again: \(error)")
        }
        self.budget = budget
        self.progress = progress
    }

    /// Starts both runs again.
    func restart() throws {
        try original.restart()
        try replay.restart()
    }

    /// Runs both sides up to a place.
    ///
    /// - Throws: ``ZoomError`` if the time is up.
    func run(to place: UInt64) throws -> (original: ReplaySide.Stop, replay: ReplaySide.Stop) {
        try original.begin(to: place)
        try replay.begin(to: place)
        var stops: (original: ReplaySide.Stop?, replay: ReplaySide.Stop?)
        while true {
            // The side that is waited for longest is asked with patience, so that a stop costs a millisecond.
            if stops.original == nil { stops.original = try original.poll(seconds: 0.2) }
            if stops.replay == nil { stops.replay = try replay.poll(seconds: stops.original == nil ? 0 : 0.2) }
            if let first = stops.original, let second = stops.replay { return (first, second) }
            try check()
            if stops.original == nil, let count = original.progress() { progress(count) }
        }
    }

    /// Throws ``ZoomError`` if the time is up or the user has interrupted the tool.
    private func check() throws {
        try budget.check()
        while let number = signals.wait(seconds: 0) {
            if number != SIGCHLD { throw ZoomError.interrupted }
        }
    }

    /// The place of the checkpoint that both sides have; nil without one.
    var checkpoint: UInt64? { original.checkpoint == replay.checkpoint ? original.checkpoint : nil }

    /// Seconds that the last checkpoint took, and when it was kept.
    private var checkpointCost: (seconds: Double, at: Double) = (0.2, 0)

    /// Keeps a checkpoint of both sides, in place of the one before.
    func keepCheckpoint(_ budget: Budget) throws {
        let start = budget.used
        try original.keepCheckpoint()
        try replay.keepCheckpoint()
        checkpointCost = (budget.used - start, budget.used)
    }

    /// Whether a checkpoint costs less than a tenth of the time since the last one.
    func isCheckpointDue(_ budget: Budget) -> Bool {
        original.canGoBack && replay.canGoBack && budget.used - checkpointCost.at > 10 * checkpointCost.seconds
    }

    /// Puts both sides back to the checkpoint.
    func goBack() throws {
        try original.goBack()
        try replay.goBack()
    }

    /// Words of memory that differ now.
    func memoryDifferences() -> GuestMemory.Differences { original.memory.differences(from: replay.memory) }

    /// Registers that differ now.
    func registerDifferences() throws -> [(name: String, here: String, there: String)] {
        try original.registers().differences(from: replay.registers())
    }

    func openWindow() throws {
        try original.openWindow()
        try replay.openWindow()
    }

    func closeWindow() throws {
        try original.closeWindow()
        try replay.closeWindow()
    }
}

/// Why a zoom ended without an answer.
struct ZoomError: Error, CustomStringConvertible, Equatable {
    let description: String

    init(_ description: String) { self.description = description }

    static let outOfTime = ZoomError("the time that was allowed is up")
    static let interrupted = ZoomError("it was interrupted")
}

/// The time that a zoom may take, and a stopwatch for its steps.
final class Budget {
    private let start = ContinuousClock.now
    private let seconds: Double?

    /// - Parameter seconds: nil for any time.
    init(seconds: Double?) { self.seconds = seconds }

    /// Seconds since the beginning.
    var used: Double {
        let time = (ContinuousClock.now - start).components
        return Double(time.seconds) + Double(time.attoseconds) * 1e-18
    }

    /// Throws ``ZoomError/outOfTime`` if the time is up.
    func check() throws {
        if let seconds, used > seconds { throw ZoomError.outOfTime }
    }
}
