// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite

/// A compiled statement. Parameters are numbered from 1, columns from 0.
final class Statement {
    let handle: OpaquePointer
    private let database: Database

    init(_ database: Database, _ sql: String) throws(SQLError) {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(database.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else {
            if code == SQLITE_OK { throw SQLError(code: SQLITE_MISUSE, message: "an empty statement", sql: sql) }
            throw database.error(sql)
        }
        handle = statement
        self.database = database
    }

    private init(_ database: Database, handle: OpaquePointer) {
        self.database = database
        self.handle = handle
    }

    /// Compiles the first statement of a text, and returns the number of bytes that it takes: 0 at the end of the text.
    /// A comment gives no statement.
    static func first(
        of text: String, _ database: Database
    ) throws(SQLError) -> (statement: Statement?, length: Int)? {
        var statement: OpaquePointer?
        var text = text
        let (code, length) = text.withUTF8 { bytes -> (Int32, Int) in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                guard let start = characters.baseAddress else { return (SQLITE_OK, 0) }
                var tail: UnsafePointer<CChar>?
                let code = sqlite3_prepare_v2(database.handle, start, Int32(clamping: bytes.count), &statement, &tail)
                return (code, tail.map { $0 - start } ?? 0)
            }
        }
        guard code == SQLITE_OK else { throw database.error(text) }
        guard length > 0 else { return nil }
        return (statement.map { Statement(database, handle: $0) }, length)
    }

    deinit { sqlite3_finalize(handle) }

    // MARK: Parameters

    func bind(_ index: Int32, _ value: Int64?) {
        if let value { sqlite3_bind_int64(handle, index, value) } else { sqlite3_bind_null(handle, index) }
    }

    /// Binds 64 bits; SQLite's integers have a sign.
    func bind(_ index: Int32, bits value: UInt64?) { bind(index, value.map { Int64(bitPattern: $0) }) }

    func bind(_ index: Int32, _ value: String?) {
        guard var value else {
            sqlite3_bind_null(handle, index)
            return
        }
        _ = value.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                tt_bind_text(handle, index, $0.baseAddress ?? Statement.empty, Int32(clamping: bytes.count))
            }
        }
    }

    func bind(_ index: Int32, blob value: UnsafeRawBufferPointer) {
        tt_bind_blob(handle, index, value.baseAddress, Int32(clamping: value.count))
    }

    /// Something to point at where a text has no bytes.
    nonisolated(unsafe) private static let empty: UnsafePointer<CChar> = {
        let pointer = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        pointer.initialize(to: 0)
        return UnsafePointer(pointer)
    }()

    // MARK: Rows

    /// Steps to the next row; false after the last.
    @discardableResult
    func step() throws(SQLError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw database.error()
        }
    }

    /// Runs a statement without rows, and makes it ready for the next parameters.
    @inline(__always)
    func run() throws(SQLError) {
        let code = sqlite3_step(handle)
        sqlite3_reset(handle)
        guard code == SQLITE_DONE || code == SQLITE_ROW else { throw database.error() }
    }

    /// Makes it ready to run again.
    func reset() { sqlite3_reset(handle) }

    var columnCount: Int32 { sqlite3_column_count(handle) }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func text(_ column: Int32) -> String? {
        guard let bytes = sqlite3_column_text(handle, column) else { return nil }
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// The bytes of a column, valid until the next step.
    func blob(_ column: Int32) -> UnsafeRawBufferPointer {
        let bytes = sqlite3_column_blob(handle, column)
        return UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, column)))
    }
}
