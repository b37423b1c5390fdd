// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import TraceIndex

/// The entry point of the loadable extension `ttlog_sqlite.so`: gives any program that uses the system's SQLite the
/// virtual tables and functions of indexes.
///
///     sqlite3 ttd.log.ttidx -cmd ".load ./ttlog_sqlite" 'SELECT * FROM branch LIMIT 3'
@_cdecl("sqlite3_ttlogsqlite_init")
public func initializeExtension(
    _ connection: OpaquePointer?, _ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ routines: UnsafeRawPointer?
) -> Int32 {
    guard let connection, tt_is_same_sqlite(routines) != 0 else {
        message?.pointee = tt_message("ttlog_sqlite needs a program that uses the system's libsqlite3")
        return SQLITE_ERROR
    }
    return IndexExtension.register(connection)
}
