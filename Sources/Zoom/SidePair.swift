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
    private let limits: Limits

    init(
        _ original: RepeatableRun, _ replay: RepeatableRun, _ options: ReplaySide.Options, _ limits: Limits,
        progress: @escaping (UInt64) -> Void
    ) throws {
        do throws(RunError) {
            self.original = try ReplaySide(original, options: options)
        } catch {
            throw SideError(isOriginal: true, error: error)
        }
        do throws(RunError) {
            self.replay = try ReplaySide(replay, options: options)
        } catch {
            throw SideError(isOriginal: false, error: error)
        }
        self.limits = limits
        self.progress = progress
    }

    /// Starts both runs again.
    func restart() throws {
        try original.restart()
        try replay.restart()
    }

    /// Runs both sides up to a place.
    ///
    /// - Throws: ``ZoomError`` if the time is up or the user has interrupted the tool.
    func run(to place: UInt64) throws -> (original: ReplaySide.Stop, replay: ReplaySide.Stop) {
        try limits.check()
        try original.begin(to: place)
        try replay.begin(to: place)
        var stops: (original: ReplaySide.Stop?, replay: ReplaySide.Stop?)
        while true {
            // The side that is waited for longest is asked with patience, so that a stop costs a millisecond.
            if stops.original == nil { stops.original = try original.poll(seconds: 0.2) }
            if stops.replay == nil { stops.replay = try replay.poll(seconds: stops.original == nil ? 0 : 0.2) }
            if let first = stops.original, let second = stops.replay { return (first, second) }
            try limits.check()
            if stops.original == nil, let count = original.progress() { progress(count) }
        }
    }

    /// The place of the checkpoint that both sides have; nil without one.
    var checkpoint: UInt64? { original.checkpoint == replay.checkpoint ? original.checkpoint : nil }

    /// Seconds that the last checkpoint took, and when it was kept.
    private var checkpointCost: (seconds: Double, at: Double) = (0.2, 0)

    /// Keeps a checkpoint of both sides, in place of the one before.
    func keepCheckpoint(_ limits: Limits) throws {
        let start = limits.used
        try original.keepCheckpoint()
        try replay.keepCheckpoint()
        checkpointCost = (limits.used - start, limits.used)
    }

    /// Whether a checkpoint costs less than a tenth of the time since the last one.
    func isCheckpointDue(_ limits: Limits) throws -> Bool {
        guard limits.used - checkpointCost.at > 10 * checkpointCost.seconds else { return false }
        return try canGoBack()
    }

    /// Whether both sides can go back to a checkpoint that is kept now.
    func canGoBack() throws -> Bool { try original.canGoBack() && replay.canGoBack() }

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

/// Why a side cannot be run again.
struct SideError: Error, CustomStringConvertible {
    var isOriginal: Bool
    var error: RunError

    var description: String { "the \(isOriginal ? "original" : "replay") cannot be run again: \(error)" }
}

/// What ends a zoom early: its time is up, or the user has interrupted the tool. And a stopwatch for its steps.
final class Limits {
    private let start = ContinuousClock.now
    private let seconds: Double?
    private var signals: SignalWatch?

    /// - Parameter seconds: the time that the zoom may take; nil for any time.
    init(seconds: Double?) { self.seconds = seconds }

    /// From here on signals that ask the tool to end are taken by ``check()``.
    func begin() { signals = SignalWatch() }

    /// Signals have their usual effect again.
    func end() { signals = nil }

    /// Seconds since the beginning.
    var used: Double {
        let time = (ContinuousClock.now - start).components
        return Double(time.seconds) + Double(time.attoseconds) * 1e-18
    }

    /// Throws ``ZoomError/outOfTime`` or ``ZoomError/interrupted`` if the zoom is to end.
    func check() throws {
        if let seconds, used > seconds { throw ZoomError.outOfTime }
        while let number = signals?.wait(seconds: 0) {
            if number != SIGCHLD { throw ZoomError.interrupted }
        }
    }
}
