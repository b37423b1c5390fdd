// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Reads chunk bodies from the file, checks their hashes and decompresses them. All bodies use the same memory.
struct BodyReader: ~Copyable {
    private var stored = ReusedBuffer()
    private var raw = ReusedBuffer()
    private var decompressor: OpaquePointer?

    init() {}

    deinit {
        if let decompressor { ttlog_decompressor_free(decompressor) }
    }

    /// The raw body of a chunk, valid until the next call, with ``ReusedBuffer/slack`` readable bytes after it.
    mutating func body(of chunk: Chunk, in file: InputFile) throws(LogError) -> UnsafeRawBufferPointer {
        let bytes = try storedBody(of: chunk, in: file)
        if chunk.codec == UInt8(TTLOG_CODEC_RAW.rawValue) { return bytes }
        if decompressor == nil { decompressor = ttlog_decompressor_create() }
        let result = raw.room(for: chunk.rawSize)
        guard
            ttlog_decompressor_run(decompressor, result.baseAddress, result.count, bytes.baseAddress, bytes.count) == 0
        else {
            throw LogError(
                file: file.path, offset: chunk.offset, kind: .damaged(.decompression(rawSize: chunk.rawSize)))
        }
        return UnsafeRawBufferPointer(result)
    }

    /// The body as it is in the file, its hash checked; valid until the next call.
    mutating func storedBody(of chunk: Chunk, in file: InputFile) throws(LogError) -> UnsafeRawBufferPointer {
        func damaged(_ what: DamageKind) -> LogError {
            LogError(file: file.path, offset: chunk.offset, kind: .damaged(what))
        }
        guard !chunk.isElided else { throw LogError(file: file.path, offset: chunk.offset, kind: .elidedBody) }
        let bytes = stored.room(for: chunk.storedSize)
        let present = try file.read(bytes, at: chunk.offset &+ UInt64(TTLOG_CHUNK_HEADER_SIZE))
        guard present == bytes.count else {
            throw damaged(
                .truncated(structure: .body, expected: UInt64(bytes.count), present: UInt64(present)))
        }
        let hash = ttlog_hash(bytes.baseAddress, bytes.count, 0)
        guard hash == chunk.bodyHash else { throw damaged(.bodyHash(expected: chunk.bodyHash, found: hash)) }
        return UnsafeRawBufferPointer(bytes)
    }

    /// A copy of bytes with slack after it, valid until the next call.
    mutating func copy(of bytes: [UInt8]) -> UnsafeRawBufferPointer {
        let result = raw.room(for: bytes.count)
        result.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(result)
    }
}
