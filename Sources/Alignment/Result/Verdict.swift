// SPDX-License-Identifier: GPL-2.0-or-later

/// One of the two runs that are compared.
public enum Side: String, Sendable, Hashable, CaseIterable {
    case original, replay

    public var other: Side { self == .original ? .replay : .original }
}

/// What an alignment comes to.
public enum Verdict: Sendable, Hashable {
    /// No difference in all that was compared.
    case identical
    /// The runs executed something else.
    case controlFlow(ControlFlowDifference)
    /// The original has an event that the replay lacks.
    case missingEvent
    /// The replay has an event that the original lacks.
    case extraEvent
    /// The event is there in both, elsewhere: so many transitions later in the replay (negative: earlier); instructions
    /// likewise, nil in logs without instruction counts.
    case movedEvent(transitions: Int64, instructions: Int64?)
    /// The same event at the same place with other contents.
    case payload
    /// Registers or memory differ at a place that both runs reached.
    case state
    /// The replay is the beginning of the original.
    case replayEndedEarly
    /// The original is the beginning of the replay.
    case originalEndedEarly
    /// Nothing can be said, for these reasons.
    case notComparable([String])

    /// The verdict's name in JSON documents; never changed.
    public var name: String {
        switch self {
        case .identical: "identical"
        case .controlFlow: "control-flow"
        case .missingEvent: "missing-event"
        case .extraEvent: "extra-event"
        case .movedEvent: "moved-event"
        case .payload: "payload"
        case .state: "state"
        case .replayEndedEarly: "replay-ended-early"
        case .originalEndedEarly: "original-ended-early"
        case .notComparable: "not-comparable"
        }
    }

    /// Exit status of a tool that reports the verdict: 0 the same, 1 different, 2 nothing to compare.
    public var exitStatus: Int32 {
        switch self {
        case .identical: 0
        case .notComparable: 2
        default: 1
        }
    }
}

/// In what two branches at the same place differ.
public enum ControlFlowDifference: String, Sendable, Hashable {
    /// They left from elsewhere or went elsewhere.
    case path
    /// The same addresses, but another instruction stands at `from`.
    case instruction
    /// The same branch after another number of instructions (a string instruction that turned more often).
    case instructionCount = "instruction-count"
}
