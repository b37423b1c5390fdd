// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// One of the sequences of records that a log is made of (`enum ttlog_stream`).
///
/// Branches, events and accesses are compared between logs, one sequence a vCPU. There is one `meta` sequence a log,
/// which is never compared; `directory` holds no records of a run.
public enum LogStream: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    /// Transitions between instructions.
    case branch = 1
    /// Interrupts, exceptions, discontinuities, state digests.
    case event
    /// Accesses that may bring in outside data: port I/O, MMIO, rdtsc, cpuid, msr.
    case access
    /// Attributes, annotations, losses, how the run ended.
    case meta
    /// Copies of the chunk headers, written when the log is closed.
    case directory

    /// The stream's name as the tools print it.
    public var name: String {
        switch self {
        case .branch: "branch"
        case .event: "event"
        case .access: "access"
        case .meta: "meta"
        case .directory: "directory"
        }
    }

    /// Whether two logs are compared by this stream.
    public var isCompared: Bool { rawValue <= LogStream.access.rawValue }

    /// The most records that a chunk of this stream may hold.
    var chunkLimit: Int {
        self == .branch ? Int(TTLOG_BRANCH_CHUNK_LIMIT) : Int(TTLOG_EVENT_CHUNK_LIMIT)
    }
}

/// The vCPU number of records that belong to no vCPU: those of the meta stream.
public let noVCPU: UInt16 = UInt16(TTLOG_VCPU_NONE)
