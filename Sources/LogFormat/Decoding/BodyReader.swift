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
    ///
    /// - Parameter columns: the columns of a branch body that are used; all of another body. If the body's frames allow it,
    ///   only they and the table of sizes are decompressed, and the other bytes have any content.
    mutating func body(
        of chunk: Chunk, in file: InputFile, columns: BranchBatch.Columns = .all
    ) throws(LogError) -> UnsafeRawBufferPointer {
        let bytes = try storedBody(of: chunk, in: file)
        if chunk.codec == UInt8(TTLOG_CODEC_RAW.rawValue) { return bytes }
        if decompressor == nil { decompressor = ttlog_decompressor_create() }
        let result = raw.room(for: chunk.rawSize)
        let status =
            columns.isSuperset(of: .all)
            ? ttlog_decompressor_run(decompressor, result.baseAddress, result.count, bytes.baseAddress, bytes.count)
            : ttlog_decompressor_run_columns(
                decompressor, TTLOG_BRANCH_COLUMNS.rawValue, columns.encodedColumns, result.baseAddress, result.count,
                bytes.baseAddress, bytes.count)
        guard status == 0 else {
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

extension BranchBatch.Columns {
    /// A bit for each column of a branch body (`enum ttlog_branch_column`) that these columns are decoded from.
    fileprivate var encodedColumns: UInt32 {
        func bits(_ columns: ttlog_branch_column...) -> UInt32 { columns.reduce(0) { $0 | 1 << $1.rawValue } }
        return (isDisjoint(with: .path) ? 0 : bits(TTLOG_BCOL_CONTROL, TTLOG_BCOL_FROM, TTLOG_BCOL_TO))
            | (contains(.label) ? bits(TTLOG_BCOL_LABEL, TTLOG_BCOL_LABEL_ESCAPE) : 0)
            | (contains(.icount) ? bits(TTLOG_BCOL_ICOUNT, TTLOG_BCOL_ICOUNT_ESCAPE) : 0)
    }
}
