// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import Foundation
import LogFormat
import TestSupport
import Testing

@testable import TraceIndex

/// Queries only read, and an index from a stranger runs nothing.
@Suite struct SafetyTests {
    @Test(arguments: [
        "DELETE FROM _event", "INSERT INTO _run VALUES ('a', 1)", "UPDATE _event SET kind = 1", "CREATE TABLE t(x)",
        "CREATE TEMP TABLE t(x)", "CREATE TEMP VIEW v AS SELECT 1", "DROP VIEW event", "ATTACH '/tmp/x' AS x",
        "DETACH main", "PRAGMA query_only=0", "PRAGMA writable_schema=1", "PRAGMA trusted_schema=1",
        "PRAGMA journal_mode=WAL", "SELECT load_extension('/tmp/x')", "BEGIN IMMEDIATE", "VACUUM INTO '/tmp/tt-vacuum'",
        "REINDEX", "ANALYZE", "CREATE TRIGGER t AFTER INSERT ON _event BEGIN SELECT 1; END", "SAVEPOINT a",
        "EXPLAIN DELETE FROM _event", "WITH a AS (SELECT 1) DELETE FROM _event", "PRAGMA temp_store_directory='/tmp'",
    ])
    func queriesOnlyRead(_ sql: String) throws {
        let session = try QueryCase(Logs.small).session()
        #expect(throws: SQLError.self, "\(sql)") { try session.run(sql) { _ in } }
        #expect(try session.csv("SELECT count(*) FROM event") == "2")
    }

    @Test func errorsShowThePlace() throws {
        let session = try QueryCase(Logs.small).session()
        let error = #expect(throws: SQLError.self) { try session.csv("SELECT brctr, colour FROM event") }
        #expect(
            error?.description.hasSuffix("no such column: colour\n  SELECT brctr, colour FROM event\n                ^")
                == true,
            "\(String(describing: error))")
    }

    /// Objects that a stranger could put into an index of the right key.
    @Test(arguments: [
        "CREATE TRIGGER t AFTER INSERT ON _event BEGIN DELETE FROM _run; END",
        "CREATE VIEW extra AS SELECT load_extension('/tmp/x')",
        "CREATE TABLE extra(x)",
        "DROP VIEW event; CREATE VIEW event AS SELECT 1 AS seq, writefile('/tmp/x', 'y') AS kind",
        "DROP VIEW stats",
        "CREATE INDEX extra ON _event(abs(kind))",
        "DROP TABLE _console; CREATE TABLE _console(line INTEGER PRIMARY KEY, text TEXT DEFAULT (hex(1)), brctr INT, icount INT)",
        "PRAGMA writable_schema=1; UPDATE sqlite_schema SET sql = 'CREATE VIEW run AS SELECT 1 AS name' WHERE name = 'run'",
    ])
    func aForeignSchemaIsNotUsed(_ change: String) throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT * FROM event")
        var connection: OpaquePointer?
        #expect(sqlite3_open(test.index, &connection) == SQLITE_OK)
        #expect(sqlite3_exec(connection, change, nil, nil, nil) == SQLITE_OK)
        sqlite3_close(connection)
        let before = try Data(contentsOf: URL(fileURLWithPath: test.index))
        #expect(try test.rows("SELECT count(*) FROM event") == "2")
        #expect(try Data(contentsOf: URL(fileURLWithPath: test.index)) == before)
    }

    /// Bytes of an index changed at random: a query answers, or throws; nothing traps.
    @Test func mutatedIndexes() throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT count(*) FROM edge, call")
        let original = try [UInt8](Data(contentsOf: URL(fileURLWithPath: test.index)))
        var random = RandomNumbers(seed: 12)
        let rounds = hostileInputs(100)
        var answered = 0
        var options = LogIndex.Options()
        options.output = test.index
        for _ in 0..<rounds {
            var bytes = original
            for _ in 0...random.below(6) {
                bytes[Int(random.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.below(8) == 0 { bytes.removeLast(Int(random.below(UInt64(bytes.count)))) }
            try Data(bytes).write(to: URL(fileURLWithPath: test.index))
            guard let session = try? test.session(options) else { continue }
            for sql in [
                "SELECT * FROM event", "SELECT * FROM edge", "SELECT * FROM call", "SELECT * FROM run",
                #"SELECT count(*) FROM branch WHERE "to" = 0xffffffff81000100"#, "SELECT * FROM stats",
                "SELECT symbol(ip), source(ip), at_icount(icount) FROM event",
            ] {
                if (try? session.csv(sql)) != nil { answered += 1 }
            }
        }
        #expect(answered > 0)
    }

    /// Bytes of a log changed at random, under the virtual tables of an index that was made before.
    @Test func mutatedLogs() throws {
        let test = try QueryCase(Logs.small)
        let original = try [UInt8](Data(contentsOf: URL(fileURLWithPath: test.log.path)))
        var random = RandomNumbers(seed: 13)
        let rounds = hostileInputs(60)
        for _ in 0..<rounds {
            var bytes = original
            for _ in 0...random.below(6) {
                bytes[Int(random.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
            }
            try Data(bytes).write(to: URL(fileURLWithPath: test.log.path))
            guard let log = try? LogFile(path: test.directory.path),
                let session = try? QuerySession([.init(name: "main", log: log, options: .init())])
            else { continue }
            for sql in ["SELECT * FROM branch", "SELECT * FROM access", "SELECT * FROM edge", "SELECT * FROM call"] {
                _ = try? session.csv(sql)
            }
        }
    }
}
