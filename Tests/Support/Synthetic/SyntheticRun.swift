// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A synthetic run: how long it is, how often things happen in it.
///
///     var run = SyntheticRun(seed: 1, branches: 100_000_000)
///     run.eventsEvery = 4096
///     try run.write(to: "original.log")
public struct SyntheticRun: Sendable {
    /// Decides everything.
    public var seed: UInt64
    /// Branches up to the comparable end.
    public var branches: UInt64
    /// Mean number of branches from event to event; 0: no events.
    public var eventsEvery: UInt64 = 1024
    /// Mean number of branches from access to access; with 0, the log has no access stream.
    public var accessesEvery: UInt64 = 256
    /// Number of branches from state digest to state digest; 0 for none.
    public var statesEvery: UInt64 = 0
    /// Number of branches after the comparable end, different ones in the original and the replay. With 0 the log ends
    /// there and has no comparable end.
    public var tail: UInt64 = 0
    /// How the logs are written; features, kind and bases are set from the run.
    public var options: LogWriter.Options

    public init(seed: UInt64, branches: UInt64) {
        self.seed = seed
        self.branches = branches
        options = LogWriter.Options()
        options.recorderName = "synthetic"
        options.features = [.branches, .icount, .labels, .causes]
    }

    /// The contents of a log that was written.
    public struct Counts: Sendable, Hashable {
        /// Branches up to the comparable end.
        public var branches: UInt64 = 0
        /// Records of the event stream, state digests among them.
        public var events: UInt64 = 0
        public var accesses: UInt64 = 0
        public var states: UInt64 = 0
        /// The clock of the record with the difference: its place in the original.
        public var plantedClock: UInt64?
        /// Its place in this log.
        public var movedClock: UInt64?
    }

    /// Writes a log of the run.
    ///
    /// - Parameters:
    ///   - difference: The difference of a replay. It does not affect an original, except if the run ends early.
    @discardableResult
    public func write(
        to path: String, as kind: FileHeader.RunKind = .recording, difference: PlantedDifference = .none
    ) throws -> Counts {
        var options = options
        options.runKind = kind
        if accessesEvery > 0 { options.features.formUnion([.accesses, .accessValues]) }
        if statesEvery > 0 { options.features.insert(.state) }
        let writer = try LogWriter(path: path, options: options)
        var play = SyntheticPlay(self, writer: writer, isReplay: kind == .replay, difference: difference)
        play.run()
        try writer.close()
        return play.counts
    }
}
