// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// One record of a run, as the alignment compares them.
public enum Element: Sendable, Hashable {
    /// A branch.
    case branch(Branch)
    /// An event, an access or a state digest.
    case event(Event)

    /// The clock in the log that the record is from.
    public var clock: UInt64 {
        switch self {
        case .branch(let branch): branch.clock
        case .event(let event): event.clock
        }
    }
}

/// One field in which two records differ.
public struct FieldDifference: Sendable, Hashable {
    /// The value of a field.
    public enum Value: Sendable, Hashable {
        /// A code address.
        case address(UInt64)
        /// A number.
        case number(UInt64)
        /// A word of data.
        case word(UInt64)
        /// One of a list of names, or text.
        case name(String)
        /// Bytes.
        case bytes([UInt8])
        /// The record lacks the field.
        case absent
    }

    /// `to`, `icount`, `vector`, `value[0]`, …
    public var name: String
    /// The original's value.
    public var original: Value
    /// The replay's value.
    public var replay: Value

    /// Makes a difference.
    public init(name: String, original: Value, replay: Value) {
        self.name = name
        self.original = original
        self.replay = replay
    }
}

/// The first place at which one class of elements differs.
public struct FirstDifference: Sendable, Hashable {
    /// A class of elements. Reports always name the first four; the last two are finer.
    public enum Class: String, Sendable, Hashable, CaseIterable {
        /// The origins and targets of branches.
        case path
        /// The kinds and positions of events.
        case event
        /// The contents of events.
        case payload
        /// State digests.
        case state
        /// The instruction that makes a branch.
        case instruction
        /// The number of instructions between branches.
        case instructionCount = "instruction-count"
    }

    /// The class that differs.
    public var differenceClass: Class
    /// The clocks of the original at which the difference can be: one clock, or those of a cell if a body is elided.
    public var clocks: Range<UInt64>
    /// The original's record; nil if it has none, or if its body is elided.
    public var original: Element?
    /// The replay's record; nil if it has none, or if its body is elided.
    public var replay: Element?
    /// The fields in which the records differ.
    public var fields: [FieldDifference]
    /// The stream that the records are in.
    public var stream: LogStream

    /// Whether the difference is known to the record. Otherwise it is known to the cell only.
    public var isExact: Bool { original != nil || replay != nil }
    /// The first clock at which the difference can be, in the original's count.
    public var clock: UInt64 { clocks.lowerBound }
}

/// Something that a reader of a verdict must know about the comparison.
public struct Caveat: Sendable, Hashable {
    /// The subject of a caveat. The names are part of JSON documents and never change.
    public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
        /// A log does not name its recording.
        case recordingUnknown = "recording-unknown"
        /// The logs belong to different recordings.
        case recordingDiffers = "recording-differs"
        /// A log does not name its recorder.
        case recorderUnknown = "recorder-unknown"
        /// Only one log has a feature.
        case featureMissing = "feature-missing"
        /// The logs are cut into different chunks.
        case gridDiffers = "grid-differs"
        /// One log starts later than the other.
        case startsLater = "starts-later"
        /// Only one log names a comparable end.
        case noComparableEnd = "no-comparable-end"
        /// A log is being written.
        case beingWritten = "being-written"
        /// A log was not closed.
        case notClosed = "not-closed"
        /// A recorder could not write records.
        case recordsLost = "records-lost"
        /// A log is damaged.
        case damaged
        /// A part of the logs was not compared.
        case notCompared = "not-compared"
        /// The clocks of the logs differ by a constant in a stretch.
        case clockSkew = "clock-skew"
        /// The instruction counts of the logs differ by a constant in a stretch.
        case instructionSkew = "instruction-count-skew"
        /// Branches are elided, so that a difference is known to its cell only.
        case bodiesElided = "bodies-elided"
        /// Only one log has a vCPU.
        case vcpuMissing = "vcpu-missing"
        /// The order of divergences on several vCPUs is unknown.
        case noOrder = "no-order"
        /// The logs cannot show all data.
        case dataNotSeen = "data-not-seen"
        /// Benign differences were ignored.
        case benign
        /// Differences in ignored code were passed.
        case ignored
    }

    /// The caveat's subject.
    public var kind: Kind
    /// The log that it is about; nil for both, or for their relation.
    public var side: Side?
    /// One sentence without a final period.
    public var text: String
    /// The vCPU that it is about; nil for all.
    public var vcpu: UInt16?
    /// The clocks of the original that it is about.
    public var clocks: Range<UInt64>?

    /// Makes a caveat.
    public init(
        _ kind: Kind, side: Side? = nil, vcpu: UInt16? = nil, clocks: Range<UInt64>? = nil, _ text: String
    ) {
        self.kind = kind
        self.side = side
        self.text = text
        self.vcpu = vcpu
        self.clocks = clocks
    }
}
