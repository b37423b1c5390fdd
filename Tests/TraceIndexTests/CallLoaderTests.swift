// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import TestSupport
import Testing

@testable import TraceIndex

/// The table of calls and its indexes, written without SQLite.
@Suite struct CallLoaderTests {
    /// An index without rows, and a loader of its calls.
    private func load(_ body: (inout CallLoader) throws -> Void) throws -> (Database, TemporaryDirectory) {
        let scratch = try temporaryDirectory()
        let path = scratch.file("db")
        try "".write(toFile: path, atomically: false, encoding: .utf8)
        let roots = try {
            let database = try Database(path: path, .build)
            let schema = IndexSchema(key: "", hasAccessRows: false)
            for statement in schema.statements + schema.indexes(of: .calls) { try database.execute(statement) }
            return try CallLoader.Roots(in: database)
        }()
        var loader = try CallLoader(path: path, target: scratch.file("target"))
        try body(&loader)
        try loader.finish(roots)
        return (try Database(path: path, .read), scratch)
    }

    private func call(begin: UInt64, function: UInt64 = 0x1000, parent: Int64 = 0) -> CallRecord {
        CallRecord(
            id: 0, vcpu: 0, stack: 0, depth: 0, parent: parent, kind: .call, hasIcount: true, callSite: begin * 16,
            target: function + 4, function: function, beginClock: begin, beginIcount: begin * 5)
    }

    private func end(_ call: CallRecord, at clock: UInt64) -> CallRecord {
        var call = call
        (call.hasEnd, call.endClock, call.endIcount) = (true, clock, clock * 5)
        return call
    }

    private func expectSound(_ database: Database, rows: Int64) throws {
        #expect(try database.text("PRAGMA integrity_check") == "ok")
        #expect(try database.integer("SELECT count(*) FROM _call NOT INDEXED") == rows)
        for (index, column) in [("function", "function"), ("begin", "begin_brctr"), ("parent", "coalesce(parent, 0)")] {
            let query = "SELECT count(*) FROM _call INDEXED BY _call_\(index) WHERE \(column) IS NOT NULL"
            #expect(try database.integer(query) == rows, "\(index)")
        }
    }

    /// Calls that leave the window while they are open: their rows are replaced.
    @Test func longCalls() throws {
        let inner = Int(CallLoader.windowSize) * 2 + 1000
        let (database, scratch) = try load { loader in
            var outer = (0..<300).map { call(begin: UInt64($0), function: 0x5000) }
            for index in outer.indices { try loader.begin(&outer[index]) }
            for index in 0..<inner {
                var record = call(begin: UInt64(1000 + index), function: 0x1000 + UInt64(index % 7), parent: 300)
                try loader.begin(&record)
                try loader.complete(end(record, at: UInt64(1001 + index)), mayReopen: true)
            }
            for (index, record) in outer.enumerated() {
                var record = record
                record.function = 0x6000
                record.selfBranches = .max - UInt64(index)
                record.interruptions = UInt64(index)
                // The last one is open at the end of the log.
                try loader.complete(index == 299 ? record : end(record, at: 900_000), mayReopen: index != 299)
            }
        }
        defer { withExtendedLifetime(scratch) {} }
        try expectSound(database, rows: Int64(inner + 300))
        let rows =
            "SELECT count(*) FROM _call WHERE function = 0x6000 AND self_branches = -id AND interruptions = id - 1"
        #expect(try database.integer(rows) == 300)
        #expect(try database.integer("SELECT count(*) FROM _call WHERE function = 0x5000") == 0)
        #expect(try database.integer("SELECT count(*) FROM _call WHERE parent = 300") == Int64(inner))
        #expect(try database.integer("SELECT count(*) FROM call WHERE end_brctr = 900000 AND is_open = 0") == 299)
        #expect(
            try database.integer("SELECT id FROM call WHERE end_brctr IS NULL AND end_icount IS NULL AND is_open")
                == 300)
    }

    /// A call that ended shortly before it left the window, and then turns out to be open.
    @Test func aReopenedCall() throws {
        let (database, scratch) = try load { loader in
            var first = call(begin: 1, function: 0x2000)
            try loader.begin(&first)
            for index in 0..<CallLoader.windowSize + 500 {
                if index == CallLoader.windowSize - 10 { try loader.complete(end(first, at: 50), mayReopen: true) }
                if index == CallLoader.windowSize + 400 { loader.reopen(first.id) }
                var record = call(begin: UInt64(index) + 2)
                try loader.begin(&record)
                try loader.complete(end(record, at: UInt64(index) + 3))
            }
            try loader.complete(end(first, at: 1 << 40), mayReopen: true)
        }
        defer { withExtendedLifetime(scratch) {} }
        try expectSound(database, rows: CallLoader.windowSize + 501)
        #expect(try database.integer("SELECT end_brctr FROM call WHERE address = 0x2000") == 1 << 40)
    }

    /// One row, which is in the root page.
    @Test func oneCall() throws {
        let (database, scratch) = try load { loader in
            var record = call(begin: 7)
            record.hasIcount = false
            try loader.begin(&record)
            record.ending = .forgotten
            try loader.complete(record)
        }
        defer { withExtendedLifetime(scratch) {} }
        try expectSound(database, rows: 1)
        #expect(
            try database.text("SELECT kind || ' ' || ending FROM call WHERE begin_icount IS NULL") == "call forgotten")
    }

    /// Runs in a file, and all signs and sizes of keys.
    @Test(arguments: [0, 1, 1000, PairSorter.runSize, PairSorter.runSize * 3 + 17]) func pairs(count: Int) throws {
        let scratch = try temporaryDirectory()
        var sorter = PairSorter(target: scratch.file("target"))
        var expected: [PairSorter.Pair] = []
        for row in 0..<count {
            let bits = UInt64(row) &* 0x9e37_79b9_7f4a_7c15
            // Few keys among the rows of one run, and some rows that come late.
            let key = row % 3 == 0 ? Int64(row % 11) : Int64(bitPattern: bits) >> Int64(row % 64)
            let number = Int64(row % 100 == 0 ? row + 1_000_000 : row)
            try sorter.add(key, row: number)
            expected.append(.init(key: key, row: number))
        }
        expected.sort()
        var found: [PairSorter.Pair] = []
        try sorter.visit { pair throws(IndexError) in found.append(pair) }
        let isEqual = found == expected
        #expect(isEqual)
    }
}
