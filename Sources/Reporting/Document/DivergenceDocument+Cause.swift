// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment

extension DivergenceDocument {
    /// An outside input that both runs consumed before the divergence.
    public struct InputItem: Codable, Hashable, Sendable {
        /// The original's record.
        public var original: EventItem
        /// The replay's record; nil if its log does not have it.
        public var replay: EventItem?
        /// Transitions from the input to the divergence.
        public var transitions: Counter
        /// Instructions from the input to the divergence; nil if the logs count none.
        public var instructions: Counter?
        /// Whether the records carry different values.
        public var isDifferent: Bool
    }

    /// Something that can explain the divergence.
    public struct CauseItem: Codable, Hashable, Sendable {
        /// The kind of explanation; the names never change.
        public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
            /// The two runs were set up differently.
            case configuration
            /// An outside input is missing, extra, at another position, or has another value.
            case input
            /// Registers or memory differed before anything else.
            case state
            /// The logs do not show the cause.
            case notSeen = "not-seen"
        }

        /// The kind of explanation.
        public var kind: Kind
        /// One sentence without a final period.
        public var text: String
        /// The setting that differs: `memory`, `kernel`, …; nil for other kinds.
        public var name: String?
        /// The original's setting.
        public var original: String?
        /// The replay's setting.
        public var replay: String?
    }

    /// How the paths of two runs relate from the divergence on.
    public struct PathItem: Codable, Hashable, Sendable {
        /// Branches after the divergence that are equal, before the first region.
        public var agreedBefore: Counter
        /// The regions that differ, in order.
        public var regions: [RegionItem]
        /// The rest of the runs, if no common path was found in it.
        public var openRegion: RegionItem?
        /// Whether the comparison stopped at a limit, so that further regions are unknown.
        public var isCut: Bool
        /// Branches of the original in all regions.
        public var originalDiffering: Counter
        /// Branches of the replay in all regions.
        public var replayDiffering: Counter
        /// Branches that are equal.
        public var agreedBranches: Counter
    }

    /// A stretch in which the runs take different paths.
    public struct RegionItem: Codable, Hashable, Sendable {
        /// The first clock of the original's branches.
        public var originalFrom: Counter
        /// The clock after the last one.
        public var originalTo: Counter
        /// The first clock of the replay's branches, in its own count.
        public var replayFrom: Counter
        /// The clock after the last one.
        public var replayTo: Counter
        /// The replay's clock minus the original's after the region.
        public var clockShift: Distance
        /// The same for the instruction count; nil if the logs count no instructions.
        public var instructionShift: Distance?
        /// Whether only the counters differ, and not the instructions that were executed.
        public var isCounterSkew: Bool
        /// Branches after the region that are equal.
        public var agreedBranches: Counter
    }
}
