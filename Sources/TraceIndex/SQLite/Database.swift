// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import Glibc

/// One connection to a database file. Belongs to one thread at a time.
final class Database {
    /// The file; `:memory:` for none.
    let path: String
    let handle: OpaquePointer

    /// How a file is opened.
    enum Mode {
        /// An empty file of our own, to be filled.
        case build
        /// An index, perhaps a stranger's: no content is trusted, nothing is written.
        case read
        /// No file.
        case memory
    }

    init(path: String, _ mode: Mode) throws(SQLError) {
        let flags: Int32 =
            switch mode {
            case .build: SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW
            case .read: SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX
            case .memory: SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI
            }
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let error = SQLError(opened, file: path)
            sqlite3_close_v2(opened)
            throw error
        }
        handle = opened
        self.path = path
        sqlite3_extended_result_codes(handle, 1)
        switch mode {
        case .build:
            // The file has a temporary name until it is complete, so that no journal is needed.
            try execute("PRAGMA page_size=16384; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF")
            try execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-32768; PRAGMA threads=2")
        case .read, .memory: try harden()
        }
    }

    deinit { sqlite3_close_v2(handle) }

    /// Makes the connection safe for a file that may be hostile: nothing in its schema runs with rights, nothing is
    /// written, nothing is loaded.
    private func harden() throws(SQLError) {
        for (option, value) in [
            (SQLITE_DBCONFIG_DEFENSIVE, 1), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
            (SQLITE_DBCONFIG_ENABLE_TRIGGER, 0), (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
        ] as [(Int32, Int32)] {
            guard tt_db_config(handle, option, value) == SQLITE_OK else { throw SQLError(handle, file: path) }
        }
        try execute("PRAGMA query_only=1; PRAGMA cell_size_check=1; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY")
        sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 4)
        sqlite3_limit(handle, SQLITE_LIMIT_WORKER_THREADS, 2)
    }

    /// The name by which ATTACH opens a file for reading only.
    static func readOnlyURI(_ path: String) -> String {
        var absolute = path
        if !path.hasPrefix("/"), let directory = getcwd(nil, 0) {
            absolute = "\(String(cString: directory))/\(path)"
            free(directory)
        }
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-".utf8)
        let escaped = absolute.utf8.map { byte -> String in
            plain.contains(byte)
                ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return "file:\(escaped.joined())?mode=ro"
    }

    /// Lets `body` write into tables of this connection; the files stay open for reading only.
    func writing(_ body: () throws(SQLError) -> Void) throws(SQLError) {
        try execute("PRAGMA query_only=0")
        try body()
        try execute("PRAGMA query_only=1")
    }

    /// Runs statements that return no rows.
    func execute(_ sql: String) throws(SQLError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else {
            throw SQLError(handle, file: path, sql: sql)
        }
    }

    /// Compiles one statement.
    func prepare(_ sql: String) throws(SQLError) -> Statement { try Statement(self, sql) }

    /// The first column of the first row, as an integer; nil without a row.
    func integer(_ sql: String) throws(SQLError) -> Int64? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : nil
    }

    /// The first column of the first row, as text; nil without a row, and for NULL.
    func text(_ sql: String) throws(SQLError) -> String? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(0) : nil
    }

    /// The page at which a table or an index begins; nil if there is no such.
    func rootPage(_ name: String) throws(SQLError) -> UInt32? {
        try integer("SELECT rootpage FROM sqlite_schema WHERE name = '\(name)'").map { UInt32(truncatingIfNeeded: $0) }
    }

    /// The last error of this connection.
    func error(_ sql: String? = nil) -> SQLError { SQLError(handle, file: path, sql: sql) }
}
