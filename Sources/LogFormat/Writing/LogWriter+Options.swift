// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Formatting

extension LogWriter {
    /// The fields of a new log's header and how the log is written (`struct ttlog_options`).
    public struct Options: Sendable {
        /// The guest's machine.
        public var machine = Machine.x86_64
        /// The kind of the run.
        public var runKind = FileHeader.RunKind.unknown
        /// The unit of positions.
        public var clock = FileHeader.Clock.transitions
        /// How much of the branch stream the log keeps.
        public var mode = FileHeader.Mode.branches
        /// A branch's cell is its clock shifted right by this.
        public var branchCellShift: UInt8 = 16
        /// An event's or access's cell is its clock shifted right by this.
        public var eventCellShift: UInt8 = 20
        /// The number of the guest's vCPUs, 1 to 256.
        public var vcpuCount = 1
        /// The features of the recorder.
        public var features: FileHeader.Features = [.branches, .icount, .labels]
        /// The recording that the run belongs to.
        public var uuid = RecordingUUID.unknown
        /// The kind of recorder.
        public var recorder = FileHeader.Recorder.synthetic
        /// The recorder's generation.
        public var recorderGeneration: UInt16 = 0
        /// Cut after 63 bytes of UTF-8.
        public var recorderName = ""
        /// The clock at which vCPU 0 begins.
        public var clockBase: UInt64 = 0
        /// The instruction count at which vCPU 0 begins.
        public var icountBase: UInt64 = 0
        /// Events or meta records in a chunk at most.
        public var eventChunkMax = 4096
        /// Accesses in a chunk at most.
        public var accessChunkMax = 16384
        /// Bodies are compressed with zstd; otherwise raw.
        public var isCompressed = true
        /// The level of zstd's compression.
        public var compressionLevel: Int8 = 1
        /// Chunks are sealed in the calling thread, not by a helper.
        public var sealsInline = true
        /// Mode digest: the number of last branch bodies that stay.
        public var keptCells = 8
        /// Mode digest: bodies of the cells that overlap this range of clocks stay.
        public var window: Range<UInt64> = 0..<0
        /// The log is synced to disk this often, in seconds; 0 leaves that to the kernel.
        public var syncSeconds: UInt32 = 0
        /// nil: random.
        public var nonce: UInt64?
        /// Host time of creation, in nanoseconds since 1970; nil: now.
        public var createdUnixNanoseconds: UInt64?

        /// The options of a log of x86-64 branches.
        public init() {}

        /// The options of a log with the same header fields as another's.
        public init(like header: FileHeader) {
            machine = header.machine
            runKind = header.runKind
            clock = header.clock
            mode = header.mode
            branchCellShift = header.branchCellShift
            eventCellShift = header.eventCellShift
            vcpuCount = header.vcpuCount
            features = header.features
            uuid = header.uuid
            recorder = header.recorder
            recorderGeneration = header.recorderGeneration
            recorderName = header.recorderName
            clockBase = header.clockBase
            icountBase = header.icountBase
            eventChunkMax = header.eventChunkMax
            accessChunkMax = header.accessChunkMax
        }

        /// Calls `body` with the options in the writer's own form. Numbers beyond a field's range are limited to it;
        /// the writer refuses invalid combinations.
        func withRaw<Result>(_ body: (UnsafePointer<ttlog_options>) -> Result) -> Result {
            var raw = ttlog_options()
            raw.machine = machine.rawValue
            raw.machine_unknown = machine == .unknown ? 1 : 0
            raw.run_kind = runKind.rawValue
            raw.clock = clock.rawValue
            raw.mode = mode.rawValue
            raw.branch_cell_shift = branchCellShift
            raw.event_cell_shift = eventCellShift
            raw.vcpu_count = UInt16(clamping: vcpuCount)
            raw.features = features.rawValue
            withUnsafeMutableBytes(of: &raw.recording_uuid) { $0.copyBytes(from: uuid.bytes.prefix($0.count)) }
            raw.recorder = recorder.rawValue
            raw.recorder_generation = recorderGeneration
            raw.clock_base = clockBase
            raw.icount_base = icountBase
            raw.event_chunk_max = UInt32(clamping: eventChunkMax)
            raw.access_chunk_max = UInt32(clamping: accessChunkMax)
            raw.codec = UInt8(isCompressed ? TTLOG_CODEC_ZSTD.rawValue : TTLOG_CODEC_RAW.rawValue)
            raw.compression_level = compressionLevel
            raw.inline_sealing = sealsInline ? 1 : 0
            raw.kept_cells = UInt32(clamping: keptCells)
            raw.window_from = window.lowerBound
            raw.window_to = window.upperBound
            raw.sync_seconds = syncSeconds
            raw.nonce = nonce ?? 0
            raw.created_unix_ns = createdUnixNanoseconds ?? 0
            return recorderName.withCString { name in
                raw.recorder_name = name
                return body(&raw)
            }
        }
    }
}
