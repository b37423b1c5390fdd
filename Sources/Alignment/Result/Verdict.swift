// SPDX-License-Identifier: GPL-2.0-or-later

/// One of the two runs that are compared.
public enum Side: String, Sendable, Hashable, CaseIterable, Codable {
    /// The recording.
    case original
    /// The run that is compared with it.
    case replay

    /// The other side.
    public var other: Side {
        switch self {
        case .original: .replay
        case .replay: .original
        }
    }
}

/// How two runs relate.
public enum Verdict: Sendable, Hashable {
    /// No difference in all that was compared.
    case identical
    /// The runs executed something else.
    case controlFlow(ControlFlowDifference)
    /// The original has an event that the replay lacks.
    case missingEvent
    /// The replay has an event that the original lacks.
    case extraEvent
    /// Both runs have the event, at different positions. `transitions`: how many transitions later it is in the replay;
    /// negative if it is earlier. `instructions`: the same in instructions; nil in logs without instruction counts.
    case movedEvent(transitions: Int64, instructions: Int64?)
    /// The same event at the same place with other contents.
    case payload
    /// Registers or memory differ at a place that both runs reached.
    case state
    /// The replay is the beginning of the original.
    case replayEndedEarly
    /// The original is the beginning of the replay.
    case originalEndedEarly
    /// The logs cannot be compared, for these reasons.
    case notComparable([String])

    /// A verdict without its evidence. The names are part of JSON documents and never change.
    public enum Kind: String, Sendable, Hashable, CaseIterable, Codable {
        /// No difference in all that was compared.
        case identical
        /// The runs executed different code, or different amounts of it.
        case controlFlow = "control-flow"
        /// The replay lacks an event.
        case missingEvent = "missing-event"
        /// The replay has one event more.
        case extraEvent = "extra-event"
        /// The same event is at another position.
        case movedEvent = "moved-event"
        /// The same event has other contents.
        case payload
        /// Registers or memory differ.
        case state
        /// The replay is the beginning of the original.
        case replayEndedEarly = "replay-ended-early"
        /// The original is the beginning of the replay.
        case originalEndedEarly = "original-ended-early"
        /// The logs cannot be compared.
        case notComparable = "not-comparable"
    }

    /// The verdict without its evidence.
    public var kind: Kind {
        switch self {
        case .identical: .identical
        case .controlFlow: .controlFlow
        case .missingEvent: .missingEvent
        case .extraEvent: .extraEvent
        case .movedEvent: .movedEvent
        case .payload: .payload
        case .state: .state
        case .replayEndedEarly: .replayEndedEarly
        case .originalEndedEarly: .originalEndedEarly
        case .notComparable: .notComparable
        }
    }

    /// The verdict's name in JSON documents; never changed.
    public var name: String { kind.rawValue }

    /// Exit status of a tool that reports the verdict: 0 the same, 1 different, 2 not comparable.
    public var exitStatus: Int32 {
        switch kind {
        case .identical: 0
        case .controlFlow, .missingEvent, .extraEvent, .movedEvent, .payload, .state, .replayEndedEarly,
            .originalEndedEarly:
            1
        case .notComparable: 2
        }
    }
}

/// How two branches at the same clock differ.
public enum ControlFlowDifference: String, Sendable, Hashable, Codable {
    /// They left from elsewhere or went elsewhere.
    case path
    /// The same addresses, but another instruction is at `from`.
    case instruction
    /// The same branch after another number of instructions (a string instruction that repeats more often).
    case instructionCount = "instruction-count"
}
