// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

/// How two runs relate: the answer of ``align(_:_:options:progress:)``.
public struct AlignmentResult: Sendable {
    /// The features, the range and the reasons of the comparison.
    public var comparability: Comparability
    /// The verdict on the vCPU that diverged first. If the order of the vCPUs is unknown, on one that diverged.
    public var verdict: Verdict
    /// The vCPU that the verdict is about; nil if it is about all.
    public var vcpu: UInt16?
    /// The result for each vCPU that both logs have.
    public var vcpus: [VCPUAlignment]
    /// Facts about the comparison that limit its result.
    public var caveats: [Caveat]
    /// The cost of the comparison.
    public var statistics: AlignmentStatistics

    /// The divergence that the verdict is about.
    public var divergence: Divergence? {
        vcpus.first { $0.vcpu == vcpu }?.divergence
    }
}

/// How the runs of one vCPU relate.
public struct VCPUAlignment: Sendable {
    /// The vCPU's number.
    public var vcpu: UInt16
    /// How its runs relate.
    public var verdict: Verdict
    /// The first difference of each class that differs, in arbitrary order.
    public var firsts: [FirstDifference] = []
    /// The first place at which the runs differ; nil if they do not.
    public var divergence: Divergence?
    /// Clocks of the original that were compared.
    public var compared: Range<UInt64>
    /// Branches that were compared, by digest or one by one.
    public var branchesCompared: UInt64 = 0
    /// Events and accesses that were compared, by digest or one by one.
    public var eventsCompared: UInt64 = 0

    /// The first difference of a class.
    public subscript(differenceClass: FirstDifference.Class) -> FirstDifference? {
        firsts.first { $0.differenceClass == differenceClass }
    }
}

/// The first place at which two runs differ, and the records around it.
public struct Divergence: Sendable {
    /// The vCPU that diverges.
    public var vcpu: UInt16
    /// How its runs relate.
    public var verdict: Verdict
    /// The difference; nil if a log ended early.
    public var difference: FirstDifference?
    /// The position of the original.
    public var original: RunPosition
    /// The position of the replay, in the clock of its own log.
    public var replay: RunPosition
    /// The replay's clock minus the original's in this stretch of the logs, modulo 2^64.
    public var clockSkew: UInt64
    /// The records around the divergence.
    public var context = DivergenceContext()
    /// How the log that ended early ended, if known: `guest-shutdown`, `the log was not closed`.
    public var endReason: String?
}

extension Divergence {
    /// The last clock at which a position of this divergence can be; nil if it is known to the record.
    package func lastClock(of position: RunPosition) -> UInt64? {
        guard let difference, !difference.isExact else { return nil }
        let clock = difference.clocks.upperBound &- 1 &+ (position.clock &- difference.clocks.lowerBound)
        return clock == position.clock ? nil : clock
    }
}

/// A place in a run.
public struct RunPosition: Sendable, Hashable {
    /// Transitions made.
    public var clock: UInt64
    /// Instructions begun; nil if the log counts none, or if the count is unknown.
    public var icount: UInt64?
    /// The address of the instruction: that of the event, or the one that the branch leaves.
    public var ip: UInt64?

    /// Makes a position.
    public init(clock: UInt64, icount: UInt64? = nil, ip: UInt64? = nil) {
        self.clock = clock
        self.icount = icount
        self.ip = ip
    }
}

/// The records around a divergence.
public struct DivergenceContext: Sendable {
    /// The records of one side.
    public struct SideContext: Sendable {
        /// The branches from the divergence on.
        public var nextBranches: [Branch] = []
        /// The events from the divergence on.
        public var nextEvents: [Event] = []
        /// The calls that are open at the divergence.
        public var stack = CallStack()
        /// The calls that are open after `nextBranches`, the innermost last.
        public var laterFrames: [CallFrame] = []
    }

    /// The last branches that both runs have, in the original's count.
    public var lastBranches: [Branch] = []
    /// The last events that both runs have, in the original's count.
    public var lastEvents: [Event] = []
    /// The records of the original.
    public var original = SideContext()
    /// The records of the replay.
    public var replay = SideContext()
    /// Whose code both runs executed when they diverged; nil if the logs do not show it.
    public var running: RunningCode?
    /// The last outside inputs that the runs consumed before the divergence, the nearest first.
    public var lastInputs: [ConsumedInput] = []
    /// How the paths relate from the divergence on; nil if the logs have no branches there.
    public var path: PathComparison?
    /// The number of outermost frames that both sides' `laterFrames` have in common.
    public var commonFrames = 0
}

/// The cost of an alignment.
public struct AlignmentStatistics: Sendable, Hashable {
    /// Stored bytes of chunk bodies that were read from both logs.
    public var bytesRead: UInt64 = 0
    /// Chunk pairs whose digests agree, so that they were not decoded.
    public var chunksByDigest: UInt64 = 0
    /// Chunk pairs that were decoded.
    public var chunksDecoded: UInt64 = 0
    /// Differences to which a benign rule was applied, by the rule's name.
    public var benign: [String: UInt64] = [:]
    /// How often ignored code was passed, by its name.
    public var ignored: [String: UInt64] = [:]
}

/// How to align two logs.
public struct AlignmentOptions: Sendable {
    /// Whether to skip chunks whose digests agree. Otherwise everything is decoded, and digests count only if a body is
    /// elided or damaged.
    public var useDigests = true
    /// The number of branches and events to collect on each side of a divergence.
    public var contextCount = 8
    /// The number of inputs to collect before a divergence.
    public var inputCount = 5
    /// The largest number of branches from which a call stack is rebuilt.
    public var stackReach: UInt64 = 1 << 24
    /// The differences to ignore.
    public var rules: [BenignRule] = BenignRule.standard
    /// Code in which differences are ignored.
    public var ignoredCode: [IgnoredCode] = []
    /// Whether to refuse logs of different or unknown recordings.
    public var requireSameRecording = false

    /// The default options.
    public init() {}
}
