// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// How the paths of two runs relate from a divergence on: the regions that differ, as in a diff.
public struct PathComparison: Sendable, Hashable {
    /// Branches after the divergence that are equal, before the first region.
    public var agreedBefore: UInt64 = 0
    /// The regions that differ, each followed by branches that are equal.
    public var regions: [DifferingRegion] = []
    /// The rest of the runs, if no common path was found in it; nil if the runs agree at the end.
    public var openRegion: DifferingRegion?
    /// Whether the comparison stopped at a limit, so that further regions are unknown.
    public var isCut = false
    /// Branches of each side that were searched for a common path, in the last search.
    public var branchesSearched: UInt64 = 0

    /// No branch was compared.
    public init() {}

    /// Branches of the original in the regions that differ.
    public var originalDiffering: UInt64 {
        (regions + [openRegion].compactMap { $0 }).reduce(0) { $0 &+ $1.originalBranches }
    }

    /// Branches of the replay in the regions that differ.
    public var replayDiffering: UInt64 {
        (regions + [openRegion].compactMap { $0 }).reduce(0) { $0 &+ $1.replayBranches }
    }

    /// Branches that are equal.
    public var agreed: UInt64 { regions.reduce(agreedBefore) { $0 &+ $1.agreed } }
}

extension PathComparison {
    /// Where two runs take the same path again.
    package struct Meeting {
        /// Branches of the original from the divergence to that place.
        package var originalBranches: UInt64 = 0
        /// Branches of the replay from the divergence to that place.
        package var replayBranches: UInt64 = 0
        /// Branches after that place that are equal.
        package var agreed: UInt64
        /// Whether the agreement reaches the end of what was searched.
        package var isOpenEnded: Bool
    }

    /// The first place at which the runs take the same path again; nil if they were not seen to.
    package var meeting: Meeting? {
        let rest = openRegion != nil || isCut
        if agreedBefore > 0 { return Meeting(agreed: agreedBefore, isOpenEnded: regions.isEmpty && !rest) }
        guard let first = regions.first else { return nil }
        return Meeting(
            originalBranches: first.originalBranches, replayBranches: first.replayBranches, agreed: first.agreed,
            isOpenEnded: regions.count == 1 && !rest)
    }
}

/// A stretch in which two runs take different paths.
public struct DifferingRegion: Sendable, Hashable {
    /// The clocks of the original's branches.
    public var original: Range<UInt64>
    /// The clocks of the replay's branches, in its own count.
    public var replay: Range<UInt64>
    /// The replay's instruction count minus the original's after the region, without the offset from before the
    /// divergence. nil if the logs count no instructions.
    public var instructionShift: Int64?
    /// Branches after the region that are equal.
    public var agreed: UInt64 = 0

    /// Branches of the original in it. (A range's own `count` ends the process above 2^63 - 1.)
    public var originalBranches: UInt64 { original.upperBound - original.lowerBound }
    /// Branches of the replay in it.
    public var replayBranches: UInt64 { replay.upperBound - replay.lowerBound }

    /// The replay's clock minus the original's after the region.
    public var clockShift: Int64 { Int64(bitPattern: replay.upperBound &- original.upperBound) }

    /// Whether only the counters differ: one run has branches that the other lacks, and yet the same number of
    /// instructions.
    public var isCounterSkew: Bool { original.isEmpty != replay.isEmpty && instructionShift == 0 }
}

/// An outside input that both runs consumed before a divergence.
public struct ConsumedInput: Sendable, Hashable {
    /// The original's record.
    public var original: Event
    /// The replay's record; nil if its log does not have it.
    public var replay: Event?
    /// Transitions from the input to the divergence.
    public var transitions: UInt64
    /// Instructions from the input to the divergence; nil if the logs count none.
    public var instructions: UInt64?

    /// Whether the two records carry different values.
    public var isDifferent: Bool {
        guard let replay else { return false }
        return original.payload != replay.payload || original.info != replay.info
    }
}
