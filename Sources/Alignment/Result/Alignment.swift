// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// How two runs relate: the answer of ``align(_:_:options:progress:)``.
public struct Alignment: Sendable {
    public var comparability: Comparability
    /// Of the vCPU that parted first, where the order of the vCPUs' events is known; otherwise of one that parted.
    public var verdict: Verdict
    /// The vCPU that the verdict is about; nil when it is about all.
    public var vcpu: UInt16?
    public var vcpus: [VCPUAlignment]
    public var caveats: [Caveat]
    public var statistics: AlignmentStatistics

    /// The divergence that the verdict is about.
    public var divergence: Divergence? {
        vcpus.first { $0.vcpu == vcpu }?.divergence
    }
}

/// How the runs of one vCPU relate.
public struct VCPUAlignment: Sendable {
    public var vcpu: UInt16
    public var verdict: Verdict
    /// The first difference of each class that differs, in no order that means anything.
    public var firsts: [FirstDifference] = []
    public var divergence: Divergence?
    /// Clocks of the original that were compared.
    public var compared: Range<UInt64>
    /// Branches that were compared, by digest or one by one.
    public var branchesCompared: UInt64 = 0
    /// Events and accesses likewise.
    public var eventsCompared: UInt64 = 0

    /// The first difference of a class.
    public subscript(differenceClass: FirstDifference.Class) -> FirstDifference? {
        firsts.first { $0.differenceClass == differenceClass }
    }
}

/// The first place at which two runs differ, and what stands around it.
public struct Divergence: Sendable {
    public var vcpu: UInt16
    public var verdict: Verdict
    /// What differs; nil when a log ended early.
    public var difference: FirstDifference?
    /// The clock in the original's count, and where the replay stands then.
    public var original: RunPosition
    public var replay: RunPosition
    /// Replay's clock minus original's, of this stretch of the logs; modulo 2^64.
    public var clockSkew: UInt64
    public var context = DivergenceContext()
    /// How an ended log ended, as far as it says: `guest-shutdown`, `the log was not closed`.
    public var endReason: String?
}

/// A place in a run.
public struct RunPosition: Sendable, Hashable {
    /// Transitions made.
    public var clock: UInt64
    /// Instructions begun; nil in logs without counts, or where nothing is known.
    public var icount: UInt64?
    /// The instruction that the place is at: that of the event, or the one that the branch leaves.
    public var ip: UInt64?

    public init(clock: UInt64, icount: UInt64? = nil, ip: UInt64? = nil) {
        self.clock = clock
        self.icount = icount
        self.ip = ip
    }
}

/// What stands around a divergence.
public struct DivergenceContext: Sendable {
    /// What one side did.
    public struct SideContext: Sendable {
        /// From the divergence on.
        public var nextBranches: [Branch] = []
        public var nextEvents: [Event] = []
        /// The calls that were open at the divergence.
        public var stack = CallStack()
    }

    /// The last records that both runs have, in the original's count.
    public var lastBranches: [Branch] = []
    public var lastEvents: [Event] = []
    public var original = SideContext()
    public var replay = SideContext()
    /// The outside input that the runs consumed last before the divergence.
    public var lastInput: Event?
    /// nil when the runs were not seen to meet again.
    public var convergence: Convergence?
    /// Branches behind the divergence, of the side that has fewer, in which the runs were looked for to meet again.
    public var branchesSearched: UInt64 = 0
}

/// Whether the runs go the same way again behind a divergence.
public struct Convergence: Sendable, Hashable {
    /// Branches from the divergence to the place at which the runs meet again.
    public var originalBranches: UInt64
    public var replayBranches: UInt64
    /// Branches behind that place that were compared and are equal.
    public var agreed: UInt64
    /// Whether the agreement goes on as far as was looked; otherwise the runs part again there.
    public var isOpenEnded: Bool
}

/// What an alignment cost.
public struct AlignmentStatistics: Sendable, Hashable {
    /// Stored bytes of bodies read from both logs.
    public var bytesRead: UInt64 = 0
    /// Chunk pairs that were found equal by their digests alone.
    public var chunksByDigest: UInt64 = 0
    /// Chunk pairs that were decoded.
    public var chunksDecoded: UInt64 = 0
    /// Differences that a rule calls benign, by the rule's name.
    public var benign: [String: UInt64] = [:]
}

/// How an alignment is made.
public struct AlignmentOptions: Sendable {
    /// Chunks whose digests agree are not decoded. Without, everything is decoded, and digests decide only where a body
    /// was left out or is damaged.
    public var useDigests = true
    /// Branches and events that are shown on each side of a divergence.
    public var contextCount = 8
    /// Differences that mean nothing.
    public var rules: [BenignRule] = BenignRule.standard
    /// Logs of different or unknown recordings are not compared.
    public var requireSameRecording = false

    public init() {}
}
