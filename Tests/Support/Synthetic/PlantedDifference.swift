// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The difference of a synthetic replay from its original. Places are clocks or ordinals of the original.
public enum PlantedDifference: Sendable, Hashable {
    case none
    /// Every interrupt's vector is unknown in the replay: nothing that a comparison should stop at.
    case benign
    /// The branch at that clock goes elsewhere; the runs agree again after it.
    case otherTarget(clock: UInt64)
    /// The branch at that clock goes elsewhere, and the replay then goes its own way.
    case departure(clock: UInt64)
    /// This number of branches more before the one at that clock; then the runs agree again.
    case extraBranches(clock: UInt64, count: Int)
    /// The branch at that clock has another label.
    case otherLabel(clock: UInt64)
    /// The same branches, but this number of instructions more before the one at that clock.
    case moreInstructions(clock: UInt64, count: UInt64)
    case missingEvent(LogStream, ordinal: UInt64)
    /// One more event at that clock.
    case extraEvent(LogStream, clock: UInt64)
    /// The event happens this number of transitions later, or earlier (negative).
    case movedEvent(LogStream, ordinal: UInt64, by: Int64)
    case otherPayload(LogStream, ordinal: UInt64)
    /// Another register digest in that state event, counted among state events.
    case otherState(ordinal: UInt64)
    /// That log ends at that clock, before the records there.
    case replayEndsEarly(clock: UInt64)
    case originalEndsEarly(clock: UInt64)
}

/// The expected result of an alignment of a synthetic pair.
public struct ExpectedAlignment: Sendable, Hashable {
    /// The verdicts that a planted difference can lead to.
    public enum Verdict: String, Sendable, Hashable {
        case identical
        case controlFlow = "control-flow"
        case missingEvent = "missing-event"
        case extraEvent = "extra-event"
        case movedEvent = "moved-event"
        case payload
        case state
        case replayEndedEarly = "replay-ended-early"
        case originalEndedEarly = "original-ended-early"
    }

    public var verdict: Verdict
    /// Where the runs part, in the clock of both logs; nil for identical ones.
    public var clock: UInt64?
    /// The stream of the element that differs first.
    public var stream: LogStream?
    /// Transitions by which the replay's event is late (negative: early).
    public var movedBy: Int64?
}
