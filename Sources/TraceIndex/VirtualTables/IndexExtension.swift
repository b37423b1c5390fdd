// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// The virtual tables and functions for a connection that another program owns.
///
/// The log of an index is the file of the name that the index has, in the folder that the index is in, or inside of the
/// index. A name that leads elsewhere is not followed: indexes come from strangers.
public enum IndexExtension {
    /// Registers everything in a connection, for the indexes that are opened or attached now or later.
    ///
    /// - Returns: An SQLite result code.
    public static func register(_ connection: OpaquePointer) -> Int32 {
        let registry = LogRegistry()
        registry.findLogs = { registry, connection in try findLogs(registry, connection) }
        for register in [BranchModule.register, AccessModule.register, QueryFunctions.register] {
            let code = register(connection, registry)
            guard code == SQLITE_OK else { return code }
        }
        return SQLITE_OK
    }

    /// Adds the logs of all indexes of a connection that are not known yet.
    private static func findLogs(_ registry: LogRegistry, _ connection: OpaquePointer) throws {
        for (schema, file) in try databases(connection) where !registry.hasSchema(schema) {
            let quoted = LogRegistry.quoted(schema)
            guard text(connection, "PRAGMA \(quoted).application_id") == "\(IndexSchema.applicationID)",
                let key = text(connection, "SELECT value FROM \(quoted)._meta WHERE key = 'key'")
            else { continue }
            let log: LogFile
            if text(connection, "SELECT count(*) FROM (SELECT 1 FROM \(quoted)._log LIMIT 1)") == "1" {
                log = try LogCopy.log(in: connection, schema: quoted, path: file)
            } else {
                let name = text(connection, "SELECT value FROM \(quoted)._meta WHERE key = 'log'") ?? ""
                guard !name.isEmpty, !name.contains("/"), name != "..", name != "." else {
                    throw VirtualTableError("\(file): names a log that is not beside it")
                }
                log = try LogFile(path: "\(IndexLocation.directory(file))/\(name)")
            }
            guard IndexKey.text(log) == key else {
                throw VirtualTableError("\(file): \(log.path) has changed since this index was made; rebuild it")
            }
            registry.add(log, key: key, schema: schema)
        }
    }

    private static func databases(_ connection: OpaquePointer) throws -> [(name: String, file: String)] {
        var statement: OpaquePointer?
        guard
            sqlite3_prepare_v2(connection, "SELECT name, file FROM pragma_database_list", -1, &statement, nil)
                == SQLITE_OK
        else { throw SQLError(connection) }
        defer { sqlite3_finalize(statement) }
        var found: [(String, String)] = []
        while sqlite3_step(statement) == SQLITE_ROW {
            let parts = (0..<2).map { sqlite3_column_text(statement, $0).map { String(cString: $0) } ?? "" }
            if !parts[1].isEmpty { found.append((parts[0], parts[1])) }
        }
        return found
    }

    /// The first column of the first row; nil without a row, for NULL, and without such a table.
    private static func text(_ connection: OpaquePointer, _ sql: String) -> String? {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { return nil }
        defer { sqlite3_finalize(statement) }
        guard sqlite3_step(statement) == SQLITE_ROW else { return nil }
        return sqlite3_column_text(statement, 0).map { String(cString: $0) }
    }
}
