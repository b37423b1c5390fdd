// SPDX-License-Identifier: GPL-2.0-or-later

/// A transition or a replay.bin entry that ``ReplayJoin`` could not match, and the reason.
public struct JoinLeftover: Hashable, Sendable {
    /// The entry or transition that is left over.
    public enum What: Hashable, Sendable {
        /// A discontinuity of the log.
        case transition(Branch)
        /// An INTERRUPT or EXCEPTION entry of the replay.bin.
        case entry(ReplayEvent)
    }

    /// Why it was not matched.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        /// The replay.bin has no interrupt or exception at the transition's position.
        case noEntry = "replay.bin has no interrupt or exception at this position"
        /// The replay.bin has no further interrupt or exception before its end.
        case afterLastEntry = "replay.bin has no further interrupt or exception"
        /// No transition was seen at the entry's position, but later ones were.
        case noTransition = "the log has no transition at this position that can be its effect"
        /// An earlier leftover shifts the positions: this one may be a consequence.
        case followsLeftover = "an earlier leftover may shift this position"
    }

    /// The transition or the entry.
    public var what: What
    /// Why it was not matched.
    public var reason: Reason
}
