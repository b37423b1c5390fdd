// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
@preconcurrency import Glibc
import ReplaySession
import RunDirectory
import ToolSupport

/// The checkpoints of a run, and what they cost.
public struct KeptCheckpoints: Encodable {
    /// Checkpoints that there are now.
    public var checkpoints: Int
    /// Those that this session has made.
    public var made: Int
    /// Bytes of all on the disk.
    public var bytes: String
    /// Seconds of the whole replay.
    public var seconds: Double
    /// Seconds of it in which checkpoints were made.
    public var checkpointSeconds: Double
    /// Seconds that the guest takes to be put back to one: the mean of those that this session has made.
    public var restoreSeconds: Double
    /// Seconds of QEMU's processor time of that.
    public var restoreProcessorSeconds: Double
    /// Instructions of the run, as QEMU counts.
    public var engineInstructions: String

    /// One JSON document that begins with its schema and version, without a newline at its end.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let members = String(decoding: try encoder.encode(self), as: UTF8.self).dropFirst()
        return "{\n  \"schema\" : \"tt-analyze checkpoints\",\n  \"version\" : 1,\(members)"
    }

    /// One line for people.
    public var text: String {
        func tenths(_ value: Double) -> String { String((value * 10).rounded() / 10) }
        return
            "\(checkpoints) checkpoints (\(made) new), \((UInt64(bytes) ?? 0) >> 20) MiB; replayed in \(tenths(seconds)) s,"
            + " of which \(tenths(checkpointSeconds)) s for checkpoints"
    }
}

extension TravelRun {
    /// Replays the whole run and keeps checkpoints of it.
    ///
    /// - Parameter seconds: of the run, from one to the next.
    public func keepCheckpoints(_ options: ReplaySide.Options, every seconds: Double, isQuiet: Bool) throws
        -> KeptCheckpoints
    {
        let session = try start(options, use: .own)
        guard session.checkpointBytes != nil else {
            throw PlaceError("the run's checkpoints are in use by another session, or cannot be kept for its drives")
        }
        var (made, spent) = (0, 0.0)
        session.onCheckpoint = { checkpoint in
            made += 1
            spent += checkpoint.seconds
        }
        // The session goes on from each of them as from one that was loaded.
        var (restored, restoring, computing) = (0.0, 0.0, 0.0)
        session.onRestore = { checkpoint in
            restored += 1
            restoring += checkpoint.seconds
            computing += checkpoint.processorSeconds
        }
        let progress = RunProgress("replaying", total: session.end, isQuiet: isQuiet)
        session.onWait = { [unowned self] icount in
            progress.run(instructions: icount)
            try checkSignals()
        }
        defer { progress.finish() }
        let begin = Clock.now()
        session.checkpointSeconds = seconds
        try session.keepCheckpointsToEnd(ahead: false)
        return KeptCheckpoints(
            checkpoints: session.checkpointCounts.count, made: made, bytes: String(session.checkpointBytes ?? 0),
            seconds: Clock.now() - begin, checkpointSeconds: spent, restoreSeconds: restoring / max(1, restored),
            restoreProcessorSeconds: computing / max(1, restored), engineInstructions: String(session.end))
    }

    /// Keeps checkpoints where other sessions have kept none yet, at a low priority, for sessions that run at the same time.
    public func runAhead(_ options: ReplaySide.Options) throws {
        _ = nice(19)
        let session = try start(options, use: .ahead)
        guard session.checkpointBytes != nil else { return }
        session.onWait = { [unowned self] _ in try checkSignals() }
        try session.keepCheckpointsToEnd(ahead: true)
    }
}
