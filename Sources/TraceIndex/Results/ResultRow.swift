// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite

/// A column of a query's result.
public struct ResultColumn: Sendable, Hashable {
    /// The name, as the query gives it.
    public var name: String
    /// Whether it is a column of addresses of a view, unchanged; these are printed in hexadecimal.
    public var isAddress: Bool

    init(_ statement: Statement, _ index: Int32) {
        name = sqlite3_column_name(statement.handle, index).map { String(cString: $0) } ?? ""
        let type = sqlite3_column_decltype(statement.handle, index).map { String(cString: $0) }
        isAddress = type?.hasPrefix("ADDRESS") ?? false
    }
}

/// A row of a query's result; valid until the query's next row is read.
public struct ResultRow {
    /// A value, as SQLite has it.
    public enum Value {
        /// NULL.
        case null
        /// A number, or an address of which the highest bit is the sign.
        case integer(Int64)
        /// A number with a fraction.
        case real(Double)
        /// Text; UTF-8 if the query did not make other bytes from a blob.
        case text(UnsafeBufferPointer<UInt8>)
        /// Bytes.
        case blob(UnsafeRawBufferPointer)
    }

    private let statement: Statement

    init(_ statement: Statement) { self.statement = statement }

    /// The number of columns.
    public var count: Int { Int(statement.columnCount) }

    /// The value of a column.
    public subscript(column: Int) -> Value {
        let index = Int32(truncatingIfNeeded: column)
        switch sqlite3_column_type(statement.handle, index) {
        case SQLITE_INTEGER: return .integer(statement.integer(index))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(statement.handle, index))
        case SQLITE_TEXT:
            let bytes = sqlite3_column_text(statement.handle, index)
            return .text(
                UnsafeBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(statement.handle, index))))
        case SQLITE_BLOB: return .blob(statement.blob(index))
        default: return .null
        }
    }

    /// A column as text; nil for NULL.
    public func text(_ column: Int) -> String? { statement.text(Int32(truncatingIfNeeded: column)) }

    /// A column as an integer; 0 for NULL.
    public func integer(_ column: Int) -> Int64 { statement.integer(Int32(truncatingIfNeeded: column)) }
}
