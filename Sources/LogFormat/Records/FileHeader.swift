// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Formatting

/// The 16 bytes that name a recording; a replay repeats those of its recording. All zero means unknown.
public struct RecordingUUID: Hashable, Sendable, CustomStringConvertible {
    /// The 16 bytes.
    public var bytes: [UInt8]

    /// Takes the first 16 bytes; missing ones are zero.
    public init(bytes: [UInt8]) {
        self.bytes = Array(bytes.prefix(16)) + Array(repeating: 0, count: max(0, 16 - bytes.count))
    }

    /// Reads 32 hexadecimal digits, with or without dashes. nil for anything else.
    public init?(_ text: String) {
        let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }.map { Character(UnicodeScalar($0)) }
        let values = digits.compactMap(\.hexDigitValue)
        guard digits.count == 32, values.count == 32 else { return nil }
        bytes = stride(from: 0, to: 32, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    }

    /// All zero: the recording is not known.
    public static let unknown = RecordingUUID(bytes: [])

    /// Whether any byte is set.
    public var isKnown: Bool { bytes.contains { $0 != 0 } }

    /// As `8-4-4-4-12` hexadecimal digits, or `unknown`.
    public var description: String {
        guard isKnown else { return "unknown" }
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text += "-" }
            text += hexadecimal(UInt64(byte), digits: 2)
        }
        return text
    }
}

/// The header of a log (`struct ttlog_file_header`): its recorder, the clock that it counts, the features that it has.
public struct FileHeader: Sendable, Hashable {
    /// The kind of the run.
    public enum RunKind: UInt8, Sendable {
        /// The recorder does not know.
        case unknown
        /// The run's inputs were recorded.
        case recording
        /// The run took its inputs from a recording.
        case replay
        /// Neither recorded nor replayed: the recorder only watched.
        case plain
    }

    /// The unit of positions. Two logs are comparable only if they have the same.
    public enum Clock: UInt8, Sendable {
        /// The recorder does not know.
        case unknown = 0
        /// Transitions between instructions that began executing (brctr).
        case transitions
        /// A hardware counter of retired branches.
        case retiredBranches
        /// Entries into the hypervisor that the guest itself caused.
        case synchronousEntries
        /// Instructions that began executing.
        case instructions
    }

    /// The kind of recorder that wrote the log.
    public enum Recorder: UInt16, Sendable {
        /// A recorder that this reader does not know.
        case unknown
        /// The plugin for QEMU.
        case qemu
        /// The daemon for Xen.
        case xen
        /// Made by a tool: tests, imports.
        case synthetic
    }

    /// How much of the branch stream the log keeps.
    public enum Mode: UInt8, Sendable {
        /// Every branch.
        case branches
        /// Sealed branch bodies are elided; their digests and the last cells stay.
        case digest
        /// No branch stream; the clock counts branches nevertheless.
        case events
    }

    /// The features of the recorder (`TTLOG_FEATURE_*`).
    public struct Features: OptionSet, Hashable, Sendable {
        /// The bits (`TTLOG_FEATURE_*`).
        public var rawValue: UInt64

        /// The set of those bits.
        public init(rawValue: UInt64) {
            self.rawValue = rawValue
        }

        /// There is a branch stream.
        public static let branches = Features(rawValue: 1 << 0)
        /// Positions have instruction counts.
        public static let icount = Features(rawValue: 1 << 1)
        /// Branch labels come from instruction bytes.
        public static let labels = Features(rawValue: 1 << 2)
        /// Interrupts and exceptions are events, exact, from the recorder.
        public static let causes = Features(rawValue: 1 << 3)
        /// Event positions have rcx.
        public static let rcx = Features(rawValue: 1 << 4)
        /// rdtsc, ports, cpuid and model-specific registers are in the access stream.
        public static let accesses = Features(rawValue: 1 << 5)
        /// Accesses to device memory are in the access stream.
        public static let mmio = Features(rawValue: 1 << 6)
        /// Accesses carry the value read or written.
        public static let accessValues = Features(rawValue: 1 << 7)
        /// Accesses to device memory carry the value read or written.
        public static let mmioValues = Features(rawValue: 1 << 8)
        /// There are context events.
        public static let context = Features(rawValue: 1 << 9)
        /// There are state digests of registers.
        public static let state = Features(rawValue: 1 << 10)
        /// State digests cover the memory of the guest.
        public static let stateMemory = Features(rawValue: 1 << 11)
        /// Branch bodies were kept inside windows only.
        public static let windows = Features(rawValue: 1 << 12)
        /// The event stream holds the entries of an engine's own log of input.
        public static let engineInput = Features(rawValue: 1 << 13)
        /// Accesses of instructions to RAM are in the access stream.
        public static let ram = Features(rawValue: 1 << 14)
        /// Accesses to RAM carry the value read or written.
        public static let ramValues = Features(rawValue: 1 << 15)

        private static let nameList = [
            "branches", "icount", "labels", "causes", "rcx", "accesses", "mmio", "access-values", "mmio-values",
            "context", "state", "state-memory", "windows", "engine-input", "ram", "ram-values",
        ]

        /// The features' names, in the order of their bits; `feature-N` for a bit that this reader does not know.
        public var names: [String] {
            (0..<64).filter { rawValue >> UInt64($0) & 1 != 0 }.map { bit in
                bit < Features.nameList.count ? Features.nameList[bit] : "feature-\(bit)"
            }
        }
    }

    /// The version of the format.
    public var version: UInt32
    /// The guest's machine.
    public var machine: Machine
    /// The kind of the run.
    public var runKind: RunKind
    /// The unit of positions.
    public var clock: Clock
    /// Random; repeated in every chunk of the log.
    public var nonce: UInt64
    /// The recording that the run belongs to.
    public var uuid: RecordingUUID
    /// The features of the recorder.
    public var features: Features
    /// The number of the guest's vCPUs; they are numbered from 0.
    public var vcpuCount: Int
    /// How much of the branch stream the log keeps.
    public var mode: Mode
    /// A branch's cell is its clock shifted right by this.
    public var branchCellShift: UInt8
    /// An event's or access's cell is its clock shifted right by this.
    public var eventCellShift: UInt8
    /// Branches in a chunk at most.
    public var branchChunkMax: Int
    /// Events or meta records in a chunk at most.
    public var eventChunkMax: Int
    /// Accesses in a chunk at most.
    public var accessChunkMax: Int
    /// The kind of recorder that wrote the log.
    public var recorder: Recorder
    /// The recorder's generation; for QEMU the level of the plugin API.
    public var recorderGeneration: UInt16
    /// The clock at which vCPU 0 began.
    public var clockBase: UInt64
    /// The instruction count at which vCPU 0 began.
    public var icountBase: UInt64
    /// Host time at which the log was created, in nanoseconds since 1970. Never compared.
    public var createdUnixNanoseconds: UInt64
    /// The recorder's name and version, as it states them.
    public var recorderName: String
}

// MARK: - Decoding
extension FileHeader {
    /// Why a header cannot be decoded, or why its content is doubtful.
    enum Problem {
        case tooShort(Int)
        case notALog(found: UInt64)
        case version(UInt32)
        case size(UInt32)
        case checksum(expected: UInt32, found: UInt32)
    }

    /// Decodes the first 4096 bytes of a log. A header with a wrong checksum is decoded too, with each field limited to
    /// its range; the caller reports the problem.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> (header: FileHeader?, problem: Problem?) {
        guard bytes.count >= Int(TTLOG_FILE_HEADER_SIZE) else { return (nil, .tooShort(bytes.count)) }
        let raw = RawFields(bytes)
        guard raw.uint64(0) == TTLOG_FILE_MAGIC else { return (nil, .notALog(found: raw.uint64(0))) }
        let expected = checksum(bytes.prefixed(Int(TTLOG_FILE_HEADER_SIZE)), fieldAt: 12)
        let isIntact = expected == raw.uint32(12)
        if isIntact {
            guard raw.uint32(8) == TTLOG_VERSION else { return (nil, .version(raw.uint32(8))) }
            guard raw.uint32(16) == TTLOG_FILE_HEADER_SIZE else { return (nil, .size(raw.uint32(16))) }
        }
        let name = bytes[104..<168].prefix { $0 != 0 }
        let header = FileHeader(
            version: raw.uint32(8), machine: Machine(rawValue: raw.uint16(20)),
            runKind: RunKind(rawValue: raw.uint8(22)) ?? .unknown,
            clock: Clock(rawValue: raw.uint8(23)) ?? .unknown, nonce: raw.uint64(24),
            uuid: RecordingUUID(bytes: Array(bytes[32..<48])), features: Features(rawValue: raw.uint64(48)),
            vcpuCount: min(max(Int(raw.uint16(56)), 1), Int(TTLOG_VCPU_MAX)),
            mode: Mode(rawValue: raw.uint8(58)) ?? .branches, branchCellShift: min(raw.uint8(59), 63),
            eventCellShift: min(raw.uint8(60), 63), branchChunkMax: Int(min(raw.uint32(64), TTLOG_BRANCH_CHUNK_LIMIT)),
            eventChunkMax: Int(min(raw.uint32(68), TTLOG_EVENT_CHUNK_LIMIT)),
            accessChunkMax: Int(min(raw.uint32(72), TTLOG_EVENT_CHUNK_LIMIT)),
            recorder: Recorder(rawValue: raw.uint16(76)) ?? .unknown, recorderGeneration: raw.uint16(78),
            clockBase: raw.uint64(80), icountBase: raw.uint64(88), createdUnixNanoseconds: raw.uint64(96),
            recorderName: String(decoding: name, as: UTF8.self))
        return (header, isIntact ? nil : .checksum(expected: expected, found: raw.uint32(12)))
    }
}
