// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// The chunks that have a branch from or to an address, as the index's edges know them.
///
/// Chunks are counted in blocks of a few: the blocks of an edge are numbers in ascending order, each as a varint of its
/// distance from the one before (the first from -1).
enum EdgeBlocks {
    /// Leaves the chunks that may have such a branch. Without edges in the index all stay.
    static func narrow(
        _ chunks: inout [Int], _ source: LogRegistry.Source, _ connection: OpaquePointer, from: UInt64?, to: UInt64?
    ) throws {
        guard let group = groupSize(source, connection), group > 0 else { return }
        var sql = "SELECT blocks FROM \(source.quotedSchema)._edge WHERE "
        sql += [from.map { _ in #""from" = ?1"# }, to.map { _ in #""to" = ?2"# }].compactMap { $0 }
            .joined(separator: " AND ")
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { return }
        defer { sqlite3_finalize(statement) }
        if let from { sqlite3_bind_int64(statement, 1, Int64(bitPattern: from)) }
        if let to { sqlite3_bind_int64(statement, 2, Int64(bitPattern: to)) }
        var blocks: Set<Int> = []
        while sqlite3_step(statement) == SQLITE_ROW {
            let bytes = UnsafeRawBufferPointer(
                start: sqlite3_column_blob(statement, 0), count: Int(sqlite3_column_bytes(statement, 0)))
            guard decode(bytes, limit: source.branchChunks.count / group + 1, into: &blocks) else { return }
        }
        chunks = chunks.filter { blocks.contains($0 / group) }
    }

    /// Chunks in a block; nil where the index has no edges, or not those of all branches.
    private static func groupSize(_ source: LogRegistry.Source, _ connection: OpaquePointer) -> Int? {
        var statement: OpaquePointer?
        let sql = "SELECT value FROM \(source.quotedSchema)._meta WHERE key = 'edge_block'"
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { return nil }
        defer { sqlite3_finalize(statement) }
        guard sqlite3_step(statement) == SQLITE_ROW else { return nil }
        return Int(exactly: sqlite3_column_int64(statement, 0))
    }

    static func encode(_ blocks: some Sequence<Int>) -> [UInt8] {
        var bytes: [UInt8] = []
        var previous = -1
        for block in blocks {
            bytes.appendVarint(UInt64(truncatingIfNeeded: block - previous))
            previous = block
        }
        return bytes
    }

    /// Adds the blocks of an edge; false where the bytes make no sense.
    static func decode(_ bytes: UnsafeRawBufferPointer, limit: Int, into blocks: inout Set<Int>) -> Bool {
        var block = -1
        var step = 0
        var shift = 0
        for byte in bytes {
            step |= Int(byte & 0x7f) << shift
            if byte & 0x80 != 0 {
                shift += 7
                guard shift < 49 else { return false }
                continue
            }
            block += step
            guard step > 0, block < limit else { return false }
            blocks.insert(block)
            (step, shift) = (0, 0)
        }
        return shift == 0
    }
}

extension [UInt8] {
    /// Appends a number, the lowest seven bits first; a byte that others follow has its highest bit set.
    mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}
