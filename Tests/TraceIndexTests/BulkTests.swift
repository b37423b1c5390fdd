// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LogFormat
import TestSupport
import Testing

@testable import TraceIndex

/// Pages that are written without SQLite are those of a sound database: SQLite itself checks them.
@Suite struct BulkTests {
    /// A table and an index on its second column, filled through the trees.
    private func database(rows: Int, _ text: (Int) -> String) throws -> (Database, TemporaryDirectory) {
        let scratch = try temporaryDirectory()
        let path = scratch.file("db")
        makeFile(path)
        let roots = try {
            let database = try Database(path: path, .build)
            try database.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b INT, c TEXT); CREATE INDEX i ON t(b)")
            return try ["t", "i"].map { name in
                UInt32(try database.integer("SELECT rootpage FROM sqlite_schema WHERE name = '\(name)'") ?? 0)
            }
        }()
        var writer = try PageWriter(path: path)
        var table = TableTree()
        var index = IndexTree()
        var record = RowRecord()
        for row in 0..<rows {
            record.begin()
            record.addNull()
            record.add(BulkTests.value(row))
            var text = text(row)
            text.withUTF8 { record.add(UnsafeRawBufferPointer($0), isText: true) }
            try table.add(UInt64(row * 3 + 1), record, to: &writer)
        }
        try table.finish(root: roots[0], &writer)
        let order = (0..<rows).map { (value: BulkTests.value($0), row: $0 * 3 + 1) }
            .sorted { ($0.value, $0.row) < ($1.value, $1.row) }
        for (value, row) in order {
            record.begin()
            record.add(value)
            record.add(Int64(row))
            try index.add(record, to: &writer)
        }
        try index.finish(root: roots[1], &writer)
        try writer.finish()
        return (try Database(path: path, .read), scratch)
    }

    private func makeFile(_ path: String) { close(open(path, O_CREAT | O_RDWR, 0o644)) }

    /// Values of all sizes, with both signs.
    private static func value(_ row: Int) -> Int64 {
        let bits = UInt64(row) &* 0x9e37_79b9_7f4a_7c15
        return Int64(bitPattern: bits) >> Int64(row % 64)
    }

    /// From an empty leaf to trees of three levels.
    @Test(arguments: [0, 1, 2, 300, 5_000, 400_000]) func trees(rows: Int) throws {
        let (database, scratch) = try database(rows: rows) { String(repeating: "x", count: $0 % 40) }
        defer { withExtendedLifetime(scratch) {} }
        #expect(try database.text("PRAGMA integrity_check") == "ok")
        #expect(try database.integer("SELECT count(*) FROM t") == Int64(rows))
        #expect(
            try database.integer("SELECT count(*) FROM t INDEXED BY i WHERE b >= -9223372036854775808") == Int64(rows))
        for row in stride(from: 0, to: rows, by: max(1, rows / 50)) {
            let value = BulkTests.value(row)
            let found = try database.integer("SELECT count(*) FROM t WHERE b = \(value) AND a = \(row * 3 + 1)")
            #expect(found == 1)
            #expect(try database.integer("SELECT b FROM t WHERE a = \(row * 3 + 1)") == value)
        }
    }

    /// Rows that fill a page, and rows that need overflow pages.
    @Test func largeRows() throws {
        let sizes = [0, 16_300, 16_340, 16_349, 16_350, 16_384, 32_000, 32_768, 49_000, 100_000, 1_000_000, 5]
        let (database, scratch) = try database(rows: sizes.count * 5) { row in
            String(repeating: "abcdefghij", count: sizes[row % sizes.count] / 10) + "\(row)"
        }
        defer { withExtendedLifetime(scratch) {} }
        #expect(try database.text("PRAGMA integrity_check") == "ok")
        for row in 0..<sizes.count * 5 {
            let expected = String(repeating: "abcdefghij", count: sizes[row % sizes.count] / 10) + "\(row)"
            #expect(try database.text("SELECT c FROM t WHERE a = \(row * 3 + 1)") == expected)
        }
    }

    /// The page at 1 GiB is SQLite's own.
    @Test func theLockPageIsPassedOver() throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("db")
        makeFile(path)
        #expect(truncate(path, (0x4000_0000 / 16384 - 2) * 16384) == 0)
        var writer = try PageWriter(path: path)
        let page = TreePage(.tableLeaf)
        var numbers: [UInt32] = []
        for _ in 0..<4 { numbers.append(try writer.append(page.bytes)) }
        #expect(numbers == [65535, 65536, 65538, 65539])
    }

    /// The whole path: events of two vCPUs, whose clocks do not ascend in the table, too.
    @Test(arguments: [SampleText.twoVCPUs, Logs.small, Logs.everyKind]) func indexes(_ text: String) throws {
        let test = try QueryCase(text)
        var options = LogIndex.Options()
        options.hasAccessRows = true
        _ = try test.session(options)
        let database = try Database(path: test.index, .read)
        #expect(try database.text("PRAGMA integrity_check") == "ok")
        for table in ["_event", "_access"] {
            let all = try database.integer("SELECT count(*) FROM \(table) NOT INDEXED")
            let byClock = "SELECT count(*) FROM \(table) INDEXED BY \(table)_brctr WHERE brctr >= 0"
            let byKind = "SELECT count(*) FROM \(table) INDEXED BY \(table)_kind WHERE kind >= 0"
            #expect(try database.integer(byClock) == all)
            #expect(try database.integer(byKind) == all)
        }
    }

    @Test func aLongText() throws {
        let words = String(repeating: "long text ", count: 5000)
        let test = try QueryCase("options nonce=1\nannotation \(words)end\nrun-end hung")
        let found = try test.rows("SELECT max(length(details)) FROM note")
        #expect(Int(found) ?? 0 > 40_000, "\(found)")
        #expect(try Database(path: test.index, .read).text("PRAGMA integrity_check") == "ok")
    }
}
