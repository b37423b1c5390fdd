// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite

/// An error of SQLite: the request and the answer.
public struct SQLError: Error, Sendable, CustomStringConvertible {
    /// SQLite's result code, with its extension (`SQLITE_IOERR_READ`).
    public var code: Int32
    /// SQLite's own sentence.
    public var message: String
    /// The database file, or the name of an attached one; nil where no file is concerned.
    public var file: String?
    /// The statement; nil where none is concerned.
    public var sql: String?
    /// The place in the statement, in bytes; nil if SQLite does not report one.
    public var offset: Int?

    /// Makes an error from a result code and a sentence.
    public init(code: Int32, message: String, file: String? = nil, sql: String? = nil, offset: Int? = nil) {
        self.code = code
        self.message = message
        self.file = file
        self.sql = sql
        self.offset = offset
    }

    /// The last error of a connection.
    init(_ connection: OpaquePointer?, file: String? = nil, sql: String? = nil) {
        let code = connection.map { sqlite3_extended_errcode($0) } ?? SQLITE_NOMEM
        message = connection.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) } ?? "out of memory"
        let place = connection.map { sqlite3_error_offset($0) } ?? -1
        offset = sql != nil && place >= 0 ? Int(place) : nil
        self.code = code
        self.file = file
        self.sql = sql
    }

    /// The result code without its extension (`SQLITE_IOERR`).
    public var primaryCode: Int32 { code & 0xff }

    /// SQLite's message; for an error in a statement, the line and a caret under the place.
    public var description: String {
        let place = file.map { "\($0): " } ?? ""
        guard let sql, let offset, offset <= sql.utf8.count else { return place + message }
        return "\(place)\(message)\n\(SQLError.excerpt(sql, at: offset))"
    }

    /// The line of a statement that an offset is in, and a caret under it.
    private static func excerpt(_ sql: String, at offset: Int) -> String {
        let bytes = Array(sql.utf8)
        let start = bytes[..<offset].lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
        let end = bytes[offset...].firstIndex(of: 0x0a) ?? bytes.count
        // A long line is shown around the place.
        let shown = max(start, offset - 60)..<min(end, offset + 20)
        let line = String(decoding: bytes[shown], as: UTF8.self)
        let column = String(decoding: bytes[shown.lowerBound..<offset], as: UTF8.self).unicodeScalars.count
        return "  \(line)\n  \(String(repeating: " ", count: column))^"
    }
}
