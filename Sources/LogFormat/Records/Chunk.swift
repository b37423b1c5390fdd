// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Properties of a chunk (`TTLOG_CHUNK_*`).
public struct ChunkFlags: OptionSet, Hashable, Sendable, BitwiseCopyable {
    /// The bits (`TTLOG_CHUNK_*`).
    public var rawValue: UInt32

    /// The set of those bits.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The body was left out; the digests describe it.
    public static let elided = ChunkFlags(rawValue: TTLOG_CHUNK_ELIDED)
    /// The log or the epoch began inside this cell.
    public static let partialHead = ChunkFlags(rawValue: TTLOG_CHUNK_PARTIAL_HEAD)
    /// The log or the epoch ended inside this cell.
    public static let partialTail = ChunkFlags(rawValue: TTLOG_CHUNK_PARTIAL_TAIL)
    /// Brought over from an open file after the recorder had died.
    public static let recovered = ChunkFlags(rawValue: TTLOG_CHUNK_RECOVERED)
    /// The first chunk of its stream in an epoch after the first.
    public static let gapBefore = ChunkFlags(rawValue: TTLOG_CHUNK_GAP_BEFORE)
    /// The body of a chunk that is also in the log as an elided one.
    public static let window = ChunkFlags(rawValue: TTLOG_CHUNK_WINDOW)
}

/// A chunk header, decoded, and where the chunk's body is.
public struct Chunk: Hashable, Sendable, BitwiseCopyable {
    /// The stream that holds the records.
    public var stream: LogStream
    /// ``noVCPU`` in the meta stream.
    public var vcpu: UInt16
    /// 0 at first; each real gap of this vCPU adds 1.
    public var epoch: UInt32
    /// Number of the chunk in its cell, from 0.
    public var part: UInt32
    /// Number of the cell on the stream's clock grid.
    public var cell: UInt64
    /// Special properties of the chunk.
    public var flags: ChunkFlags
    /// `enum ttlog_codec`: 0 raw, 1 zstd.
    public var codec: UInt8
    /// Records.
    public var count: Int
    /// Bytes of the body before compression.
    public var rawSize: Int
    /// Bytes of the body in the file.
    public var storedSize: Int
    /// Bytes at the end of the raw body that no digest covers.
    public var privateSize: Int
    /// The offset of the header in the log or, for an open slot, of the slot in the open file.
    public var offset: UInt64
    /// Records of this stream and vCPU before this chunk.
    public var firstOrdinal: UInt64
    /// The clock of the first record.
    public var clockFirst: UInt64
    /// The clock of the last record.
    public var clockLast: UInt64
    /// The instruction count of the first record that has one; 0 if none has.
    public var icountFirst: UInt64
    /// The instruction count of the last record that has one; 0 if none has.
    public var icountLast: UInt64
    /// Order ticket of the first record (events) or at sealing (branches). Never compared.
    public var ticket: UInt64
    /// XXH3-64 of the stored bytes.
    public var bodyHash: UInt64
    /// The digests of the columns, by class.
    public var digests: Digests
    /// Hash over path and position of this chunk and all before it in the epoch.
    public var chain: UInt64

    /// The index of the body among those copied from the open file; -1 for a chunk in the log.
    var slot: Int32 = -1

    /// The body was left out.
    public var isElided: Bool { flags.contains(.elided) }
    /// The chunk was not sealed: it comes from the open file.
    public var isOpenSlot: Bool { slot >= 0 }
    /// The ordinal after the last record's.
    public var endOrdinal: UInt64 { firstOrdinal &+ UInt64(truncatingIfNeeded: count) }

    /// Bytes that the chunk takes in the log, padding included.
    var extent: UInt64 {
        let size = UInt64(TTLOG_CHUNK_HEADER_SIZE) &+ UInt64(truncatingIfNeeded: storedSize)
        return (size &+ 63) & ~63
    }
}

// MARK: - Identity and order
extension Chunk {
    /// The identity of a chunk without its place: two chunks with equal keys hold the same records.
    struct Key: Hashable {
        var stream: LogStream
        var vcpu: UInt16
        var epoch: UInt32
        var cell: UInt64
        var part: UInt32
    }

    var key: Key { Key(stream: stream, vcpu: vcpu, epoch: epoch, cell: cell, part: part) }

    /// The order of ``LogFile/chunks``.
    static func precedes(_ a: Chunk, _ b: Chunk) -> Bool {
        if a.vcpu != b.vcpu { return a.vcpu < b.vcpu }
        if a.stream != b.stream { return a.stream.rawValue < b.stream.rawValue }
        if a.epoch != b.epoch { return a.epoch < b.epoch }
        if a.cell != b.cell { return a.cell < b.cell }
        if a.part != b.part { return a.part < b.part }
        if a.isOpenSlot != b.isOpenSlot { return b.isOpenSlot }
        return a.offset < b.offset
    }

    /// The chain value that this chunk should have after a chunk with the chain `previous` (0 for the first of an
    /// epoch).
    func expectedChain(after previous: UInt64) -> UInt64 {
        let words: [UInt64] = [
            previous, cell, UInt64(part) << 32 | UInt64(UInt32(truncatingIfNeeded: count)), digests.path,
            digests.position,
        ]
        return words.withUnsafeBytes { ttlog_hash($0.baseAddress, $0.count, 0) }
    }
}
