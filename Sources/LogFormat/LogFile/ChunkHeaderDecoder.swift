// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Decodes and checks chunk headers and trailers of one log.
struct ChunkHeaderDecoder {
    var nonce: UInt64

    static let headerSize = Int(TTLOG_CHUNK_HEADER_SIZE)
    static let trailerSize = MemoryLayout<ttlog_trailer>.size

    /// Decodes the chunk header at `offset`. `bytes` holds at least 192 bytes.
    func chunk(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Result<Chunk, HeaderProblem> {
        guard bytes.count >= ChunkHeaderDecoder.headerSize else {
            return .failure(HeaderProblem(.missing(structure: .chunkHeader)))
        }
        let raw = RawFields(bytes)
        guard raw.uint32(0) == TTLOG_CHUNK_MAGIC else {
            return .failure(HeaderProblem(.missing(structure: .chunkHeader)))
        }
        let expected = checksum(bytes.prefixed(ChunkHeaderDecoder.headerSize), fieldAt: 4)
        guard expected == raw.uint32(4) else {
            return .failure(HeaderProblem(.checksum(structure: .chunkHeader, expected: expected, found: raw.uint32(4))))
        }
        guard raw.uint64(8) == nonce else { return .failure(.field("nonce", raw.uint64(8))) }
        guard raw.uint64(16) == offset, offset % UInt64(TTLOG_CHUNK_ALIGNMENT) == 0 else {
            return .failure(.field("offset", raw.uint64(16)))
        }
        return ChunkHeaderDecoder.fields(raw)
    }

    /// The fields of a header whose checksum is right, each checked against the format's limits.
    private static func fields(_ raw: RawFields) -> Result<Chunk, HeaderProblem> {
        let rawSize = raw.uint32(24)
        let storedSize = raw.uint32(28)
        guard let stream = LogStream(rawValue: raw.uint8(32)) else {
            return .failure(.field("stream", UInt64(raw.uint8(32)), storedSize: storedSize))
        }
        let chunk = Chunk(
            stream: stream, vcpu: raw.uint16(34), epoch: raw.uint32(40), part: raw.uint32(44), cell: raw.uint64(48),
            flags: ChunkFlags(rawValue: raw.uint32(36)), codec: raw.uint8(33), count: Int(raw.uint32(56)),
            rawSize: Int(rawSize), storedSize: Int(storedSize), privateSize: Int(raw.uint32(60)),
            offset: raw.uint64(16), firstOrdinal: raw.uint64(64), clockFirst: raw.uint64(72), clockLast: raw.uint64(80),
            icountFirst: raw.uint64(88), icountLast: raw.uint64(96), ticket: raw.uint64(104), bodyHash: raw.uint64(112),
            digests: Digests(
                path: raw.uint64(120), label: raw.uint64(128), position: raw.uint64(136), payload: raw.uint64(144)),
            chain: raw.uint64(152))
        if let problem = limits(chunk) { return .failure(problem) }
        return .success(chunk)
    }

    /// The first field of a chunk that is beyond the format's limits; nil if all are valid.
    static func limits(_ chunk: Chunk) -> HeaderProblem? {
        func problem(_ name: String, _ found: Int) -> HeaderProblem {
            .field(name, UInt64(truncatingIfNeeded: found), storedSize: UInt32(truncatingIfNeeded: chunk.storedSize))
        }
        let bodyMax = Int(TTLOG_BODY_MAX)
        if chunk.rawSize < 0 || chunk.rawSize > bodyMax { return problem("raw_size", chunk.rawSize) }
        if chunk.storedSize < 0 || chunk.storedSize > bodyMax { return problem("stored_size", chunk.storedSize) }
        if chunk.privateSize < 0 || chunk.privateSize > chunk.rawSize {
            return problem("private_size", chunk.privateSize)
        }
        if chunk.isElided, chunk.storedSize != 0 { return problem("stored_size of an elided chunk", chunk.storedSize) }
        if !chunk.isElided, chunk.codec > UInt8(TTLOG_CODEC_ZSTD.rawValue) { return problem("codec", Int(chunk.codec)) }
        if chunk.codec == 0, !chunk.isElided, chunk.storedSize != chunk.rawSize {
            return problem("stored_size of a raw body", chunk.storedSize)
        }
        if chunk.stream == .directory { return nil }
        if chunk.count < 0 || chunk.count > chunk.stream.chunkLimit { return problem("count", chunk.count) }
        let isMeta = chunk.stream == .meta
        if isMeta ? chunk.vcpu != noVCPU : chunk.vcpu >= UInt16(TTLOG_VCPU_MAX) {
            return problem("vcpu", Int(chunk.vcpu))
        }
        return nil
    }

    /// Decodes the trailer at `offset`; nil if there is none. `bytes` holds at least 64 bytes.
    func trailer(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Trailer? {
        guard bytes.count >= ChunkHeaderDecoder.trailerSize else { return nil }
        let raw = RawFields(bytes)
        guard raw.uint64(0) == TTLOG_TRAILER_MAGIC,
            raw.uint32(8) == checksum(bytes.prefixed(ChunkHeaderDecoder.trailerSize), fieldAt: 8),
            raw.uint64(16) == nonce, raw.uint64(24) == offset
        else { return nil }
        return Trailer(
            chunkCount: Int(raw.uint32(12)), offset: offset, directoryOffset: raw.uint64(32),
            previousTrailer: raw.uint64(40), lostRecords: raw.uint64(48))
    }
}

/// Why a chunk header was refused. If its checksum is right, the place of the next chunk is known.
struct HeaderProblem: Error {
    var what: DamageKind
    /// The body's size according to an intact header; nil if the header is damaged.
    var storedSize: UInt32?

    init(_ what: DamageKind, storedSize: UInt32? = nil) {
        self.what = what
        self.storedSize = storedSize
    }

    static func field(_ name: String, _ found: UInt64, storedSize: UInt32? = nil) -> HeaderProblem {
        HeaderProblem(.field(structure: .chunkHeader, name: name, found: found), storedSize: storedSize)
    }
}

/// A trailer, decoded (`struct ttlog_trailer`).
struct Trailer {
    var chunkCount: Int
    var offset: UInt64
    var directoryOffset: UInt64
    var previousTrailer: UInt64
    var lostRecords: UInt64
}
