// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A description of a log, as a JSON document: header, contents, end, damage. 64-bit numbers are strings, because a double
/// loses them above 2^53.
public struct LogInfoDocument: Codable, Sendable {
    /// The records of one vCPU.
    public struct VCPU: Codable, Sendable {
        /// Number of the vCPU.
        public var vcpu: UInt16
        /// Clock of the first record.
        public var clockFirst: String?
        /// Clock after the last record.
        public var clockEnd: String?
        /// Instruction count of the first record.
        public var icountFirst: String?
        /// Instruction count of the last record.
        public var icountLast: String?
        /// Stretches without gaps.
        public var epochs: Int
        /// Streams that have records.
        public var streams: [Stream]
        /// The comparable end, if the log has one.
        public var comparableEnd: ComparableEnd?
    }

    /// The records of one stream.
    public struct Stream: Codable, Sendable {
        /// Name of the stream.
        public var stream: String
        /// Number of chunks.
        public var chunks: Int
        /// Number of records.
        public var records: String
        /// Records that the recorder left out.
        public var elidedRecords: String
        /// Bytes in the file.
        public var storedBytes: String
        /// Bytes before compression.
        public var rawBytes: String

        init(_ stream: LogSummary.Stream) {
            self.stream = stream.stream.name
            chunks = stream.chunks
            records = String(stream.records)
            elidedRecords = String(stream.elidedRecords)
            storedBytes = String(stream.storedBytes)
            rawBytes = String(stream.rawBytes)
        }
    }

    /// The position up to which a vCPU can be compared with another run.
    public struct ComparableEnd: Codable, Sendable {
        /// Clock or kind of clock.
        public var clock: String
        /// Instruction count.
        public var icount: String?
        /// Reason, as a name.
        public var reason: String
    }

    /// How the run ended.
    public struct RunEnd: Codable, Sendable {
        /// Reason, as a name.
        public var reason: String
        /// Reason, in words.
        public var text: String
    }

    /// Name of the document's schema.
    public var schema = "tt-analyze info"
    /// Version of the schema.
    public var version = 1
    /// Path of the log.
    public var log: String
    /// Size in bytes.
    public var fileSize: String
    /// `closed`, `being-written`, `recovered` or `unclosed`.
    public var completeness: String
    /// Version of the log format.
    public var formatVersion: UInt32
    /// Kind of the run.
    public var runKind: String
    /// UUID of the recording, if known.
    public var recordingUUID: String?
    /// Kind of the recorder.
    public var recorder: String
    /// Name of the recorder.
    public var recorderName: String
    /// Generation of the recorder.
    public var recorderGeneration: UInt16
    /// Time of creation, nanoseconds since 1970.
    public var createdUnixNanoseconds: String
    /// ELF `e_machine`.
    public var machine: UInt16
    /// Number of vCPUs in the header.
    public var vcpuCount: Int
    /// Clock or kind of clock.
    public var clock: String
    /// Clock at the log's beginning.
    public var clockBase: String
    /// Instruction count at the log's beginning.
    public var icountBase: String
    /// Mode of the recorder.
    public var mode: String
    /// Names of the features.
    public var features: [String]
    /// Logarithm of the branch cell.
    public var branchCellShift: UInt8
    /// Logarithm of the event cell.
    public var eventCellShift: UInt8
    /// vCPUs that have records.
    public var vcpus: [VCPU]
    /// The meta stream.
    public var meta: Stream?
    /// Number of records of each kind.
    public var kinds: [String: String]
    /// Attributes of the log.
    public var attributes: [String: String]
    /// End of the run, if it is known.
    public var runEnd: RunEnd?
    /// Records that the recorder could not write.
    public var lostRecords: String
    /// Damaged parts that were found.
    public var damagedParts: Int

    /// Describes a log.
    ///
    /// - Parameter damageCount: The damaged parts that were found in opening and summarising it.
    public init(_ log: LogFile, _ summary: LogSummary, damageCount: Int) {
        let header = log.header
        self.log = log.path
        fileSize = String(log.fileSize)
        completeness =
            switch log.completeness {
            case .closed: "closed"
            case .beingWritten: "being-written"
            case .unclosed(openFileFound: true): "recovered"
            case .unclosed(openFileFound: false): "unclosed"
            }
        formatVersion = header.version
        runKind = "\(header.runKind)"
        recordingUUID = header.uuid.isKnown ? header.uuid.description : nil
        recorder = "\(header.recorder)"
        recorderName = header.recorderName
        recorderGeneration = header.recorderGeneration
        createdUnixNanoseconds = String(header.createdUnixNanoseconds)
        machine = header.machine.rawValue
        vcpuCount = header.vcpuCount
        clock = "\(header.clock)"
        clockBase = String(header.clockBase)
        icountBase = String(header.icountBase)
        mode = "\(header.mode)"
        features = header.features.names
        branchCellShift = header.branchCellShift
        eventCellShift = header.eventCellShift
        vcpus = summary.vcpus.map { vcpu in
            let end = log.comparableEnd(vcpu: vcpu.vcpu)
            return VCPU(
                vcpu: vcpu.vcpu, clockFirst: vcpu.clocks.map { String($0.lowerBound) },
                clockEnd: vcpu.clocks.map { String($0.upperBound) },
                icountFirst: vcpu.icounts.map { String($0.lowerBound) },
                icountLast: vcpu.icounts.map { String($0.upperBound) }, epochs: vcpu.epochs,
                streams: vcpu.streams.map(Stream.init),
                comparableEnd: end.map {
                    ComparableEnd(clock: String($0.clock), icount: $0.icount.map { String($0) }, reason: $0.reason)
                })
        }
        meta = summary.meta.map(Stream.init)
        kinds = Dictionary(uniqueKeysWithValues: summary.kinds.map { ($0.key.name, String($0.value)) })
        attributes = log.attributes
        runEnd = log.runEnd.map { RunEnd(reason: $0.reason.name, text: $0.text) }
        lostRecords = String(log.lostRecords)
        damagedParts = damageCount
    }
}
