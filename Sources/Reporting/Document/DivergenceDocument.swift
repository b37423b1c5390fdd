// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment

/// Everything that a report shows about two runs, as data.
///
/// A document is made once from an alignment (``init(_:original:replay:)``). Every report is a renderer of it:
///
///     let document = DivergenceDocument(try align(a, b), original: ReportedRun(a), replay: ReportedRun(b))
///     print(document.text(TextStyle(width: 80)))
///     print(try document.json())
///
/// The JSON form is described in docs/divergence.md. Counters are decimal strings there, addresses and words are
/// hexadecimal strings, and absent values are left out. A field keeps its name and meaning within a version.
public struct DivergenceDocument: Codable, Hashable, Sendable {
    /// The schema's name: `tt-analyze diverge`.
    public static let schemaName = "tt-analyze diverge"
    /// The version of the schema. It increases if a field changes its meaning or disappears.
    public static let currentVersion = 1

    /// The schema's name.
    public var schema = DivergenceDocument.schemaName
    /// The schema's version.
    public var version = DivergenceDocument.currentVersion
    /// How the two runs relate.
    public var verdict: Verdict.Kind
    /// The verdict in a few words.
    public var title: String
    /// The kind of a difference in control flow; nil for other verdicts.
    public var detail: ControlFlowDifference?
    /// The distance by which the event moved; nil for other verdicts.
    public var moved: Movement?
    /// The exit status of a tool that reports this verdict: 0 same, 1 different, 2 not comparable.
    public var exitStatus: Int32
    /// One sentence that states what happened, without a final period.
    public var summary: String
    /// Why the runs cannot be compared; nil for other verdicts.
    public var reasons: [String]?
    /// The recording.
    public var original: Run
    /// The run that is compared with the recording.
    public var replay: Run
    /// The features that both logs have, by the names of the log format: `branches`, `icount`, `state`, …
    public var features: [String]
    /// What positions (the fields `brctr` and `transitions`) count; nil for transitions. ``ClockUnit`` names the units.
    public var clockUnit: ClockUnit?
    /// The vCPU that the verdict is about; nil if it is about all.
    public var vcpu: UInt16?
    /// The result for each vCPU that both logs have.
    public var vcpus: [VCPU]
    /// Facts about the comparison that limit its result.
    public var caveats: [CaveatItem]
    /// How often each benign rule was applied, by the rule's name.
    public var benign: [String: Counter]
    /// The cost of the comparison.
    public var statistics: Statistics
    /// What to do next.
    public var commands: [NextStep]
    /// What running both sides again has shown; nil if they were not run again.
    public var zoom: ZoomItem?
    /// How the two runs were set up; nil if not asked for, or if no manifest is known.
    public var settings: [SettingItem]?
    /// Both runs of the vCPU over the branch counter; nil if not asked for.
    public var strip: StripItem?
    /// The consoles of both runs; nil if not asked for, or if there is none.
    public var console: ConsoleItem?

    /// What the positions of two logs count, if not transitions.
    public enum ClockUnit: String, Codable, Hashable, Sendable {
        /// Exits that the guest's own instructions cause: Xen.
        case exits
        /// Instructions that began executing.
        case instructions
        /// Retired branches, or a unit that the recorder does not know.
        case other
    }

    /// The distance by which an event moved, replay minus original.
    public struct Movement: Codable, Hashable, Sendable {
        /// In transitions.
        public var transitions: Distance
        /// In instructions; nil if the logs count none.
        public var instructions: Distance?
    }

    /// One of the two runs.
    public struct Run: Codable, Hashable, Sendable {
        /// The log's path.
        public var path: String
        /// The recording's UUID; nil if the log names none.
        public var recordingUUID: String?
        /// The kind of run: `recording`, `replay`, …
        public var run: String
        /// The recorder's name.
        public var recorder: String
        /// Whether the recorder closed the log.
        public var isClosed: Bool
        /// The directory of the run, if the caller named one.
        public var directory: String?
        /// The files that name this run's addresses, in order of precedence.
        public var symbolFiles: [String]
    }

    /// The result for one vCPU.
    public struct VCPU: Codable, Hashable, Sendable {
        /// The vCPU's number.
        public var vcpu: UInt16
        /// How the runs of this vCPU relate.
        public var verdict: Verdict.Kind
        /// The verdict in a few words.
        public var title: String
        /// The first clock of the original that was compared.
        public var comparedFrom: Counter
        /// The clock after the last one that was compared.
        public var comparedTo: Counter
        /// Branches that were compared, by digest or one by one.
        public var branchesCompared: Counter
        /// Events and accesses that were compared, by digest or one by one.
        public var eventsCompared: Counter
        /// The first difference of each class (`FirstDifference.Class.rawValue`). Classes without a difference are
        /// absent.
        public var firsts: [String: First]
        /// Where the runs part; nil if they do not.
        public var divergence: DivergenceItem?
    }

    /// Where one class of elements first differs.
    public struct First: Codable, Hashable, Sendable {
        /// The first clock of the original at which the difference can be.
        public var from: Counter
        /// The clock after the last one.
        public var to: Counter
        /// Whether the difference is known to the record. If not, it is known to the cell only.
        public var isExact: Bool
    }

    /// Something that a reader must know about the comparison.
    public struct CaveatItem: Codable, Hashable, Sendable {
        /// The kind of the caveat; the names never change.
        public var kind: Caveat.Kind
        /// The log that it is about; nil for both.
        public var side: Side?
        /// The vCPU that it is about; nil for all.
        public var vcpu: UInt16?
        /// The first clock of the original that it is about.
        public var from: Counter?
        /// The clock after the last one.
        public var to: Counter?
        /// One sentence without a final period.
        public var text: String
    }

    /// The cost of a comparison.
    public struct Statistics: Codable, Hashable, Sendable {
        /// Stored bytes of chunk bodies that were read from both logs.
        public var bytesRead: Counter
        /// Pairs of chunks whose digests agree, so that they were not decoded.
        public var chunksByDigest: Counter
        /// Pairs of chunks that were decoded.
        public var chunksDecoded: Counter
    }
}
