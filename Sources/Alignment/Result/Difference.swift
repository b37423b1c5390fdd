// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// One record of a run, as the alignment compares them.
public enum Element: Sendable, Hashable {
    case branch(Branch)
    case event(Event)

    /// In the log that the record is from.
    public var clock: UInt64 {
        switch self {
        case .branch(let branch): branch.clock
        case .event(let event): event.clock
        }
    }
}

/// One field in which two records differ.
public struct FieldDifference: Sendable, Hashable {
    /// A field's value; how it is written down is the reporter's.
    public enum Value: Sendable, Hashable {
        case address(UInt64)
        case number(UInt64)
        case word(UInt64)
        case name(String)
        case bytes([UInt8])
        case absent
    }

    /// `to`, `icount`, `vector`, `value[0]`, …
    public var name: String
    public var original: Value
    public var replay: Value

    public init(name: String, original: Value, replay: Value) {
        self.name = name
        self.original = original
        self.replay = replay
    }
}

/// The first place at which one class of what is compared differs.
public struct FirstDifference: Sendable, Hashable {
    /// The four classes that are always reported, and two finer ones.
    public enum Class: String, Sendable, Hashable, CaseIterable {
        /// Where branches leave from and go to.
        case path
        /// Which events there are, and where.
        case event
        /// What events carry.
        case payload
        /// State digests.
        case state
        /// Which instruction a branch is.
        case instruction
        /// How many instructions lie between branches.
        case instructionCount = "instruction-count"
    }

    public var differenceClass: Class
    /// Clocks of the original among which the difference lies: one, or a cell's when a body was left out.
    public var clocks: Range<UInt64>
    /// The record of each side; nil where there is none, or where its body was left out.
    public var original: Element?
    public var replay: Element?
    public var fields: [FieldDifference]
    /// What stream the records are of.
    public var stream: LogStream

    /// The difference is known to the record, not only to the cell.
    public var isExact: Bool { original != nil || replay != nil }
    /// The first clock at which the difference may stand, in the original's count.
    public var clock: UInt64 { clocks.lowerBound }
}

/// Something that the reader of a verdict must know about what was compared.
public struct Caveat: Sendable, Hashable {
    /// What it is about. The names stand in JSON documents and are never changed.
    public enum Kind: String, Sendable, Hashable {
        case recordingUnknown = "recording-unknown"
        case recordingDiffers = "recording-differs"
        case recorderUnknown = "recorder-unknown"
        case featureMissing = "feature-missing"
        case gridDiffers = "grid-differs"
        case startsLater = "starts-later"
        case noComparableEnd = "no-comparable-end"
        case beingWritten = "being-written"
        case notClosed = "not-closed"
        case recordsLost = "records-lost"
        case damaged
        case notCompared = "not-compared"
        case clockSkew = "clock-skew"
        case instructionSkew = "instruction-count-skew"
        case bodiesElided = "bodies-elided"
        case vcpuMissing = "vcpu-missing"
        case noOrder = "no-order"
        case dataNotSeen = "data-not-seen"
        case benign
    }

    public var kind: Kind
    /// Which log it is about; nil: both, or their relation.
    public var side: Side?
    /// One sentence without a full stop.
    public var text: String
    public var vcpu: UInt16?
    /// Clocks that it is about.
    public var clocks: Range<UInt64>?

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
