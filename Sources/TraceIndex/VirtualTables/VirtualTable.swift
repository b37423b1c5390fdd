// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// The parts that our virtual tables have in common: registration, connecting, disconnecting, errors.
enum VirtualTable {
    typealias Base = UnsafeMutablePointer<sqlite3_vtab>

    /// The memory that SQLite holds for a table: its own part, then ours.
    struct Table {
        var base = sqlite3_vtab()
        var registry: Unmanaged<LogRegistry>
        var connection: OpaquePointer
    }

    /// A module that disconnects tables of ``connect(_:_:_:declaration:)``; `fill` sets the other functions.
    ///
    /// SQLite keeps the pointer: the module is never freed.
    static func module(_ fill: (inout sqlite3_module) -> Void) -> UnsafePointer<sqlite3_module> {
        let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        module.initialize(to: sqlite3_module())
        module.pointee.xDisconnect = { table in
            guard let table else { return SQLITE_OK }
            sqlite3_free(table.pointee.zErrMsg)
            VirtualTable.table(table).deallocate()
            return SQLITE_OK
        }
        fill(&module.pointee)
        return UnsafePointer(module)
    }

    /// Registers a module in a connection, which holds the registry until it is closed. Returns SQLite's result code.
    static func register(
        _ connection: OpaquePointer, _ name: String, _ module: UnsafePointer<sqlite3_module>, _ registry: LogRegistry
    ) -> Int32 {
        sqlite3_create_module_v2(
            connection, name, module, Unmanaged.passRetained(registry).toOpaque(),
            { if let registry = $0 { Unmanaged<LogRegistry>.fromOpaque(registry).release() } })
    }

    /// The body of `xConnect`: declares a table's columns and makes its memory.
    static func connect(
        _ connection: OpaquePointer?, _ registry: UnsafeMutableRawPointer?,
        _ table: UnsafeMutablePointer<Base?>?, declaration: String
    ) -> Int32 {
        guard let connection, let registry, let table else { return SQLITE_MISUSE }
        let code = sqlite3_declare_vtab(connection, declaration)
        guard code == SQLITE_OK else { return code }
        _ = tt_vtab_innocuous(connection)
        let made = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        made.initialize(
            to: Table(registry: Unmanaged<LogRegistry>.fromOpaque(registry), connection: connection))
        table.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(to: sqlite3_vtab.self)
        return SQLITE_OK
    }

    /// Our view of a table's memory.
    static func table(_ base: Base) -> UnsafeMutablePointer<Table> {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self)
    }

    /// Runs something that may throw, and makes SQLite's error of it.
    static func guarding(_ base: Base, _ body: () throws -> Void) -> Int32 {
        do {
            try body()
            return SQLITE_OK
        } catch {
            sqlite3_free(base.pointee.zErrMsg)
            base.pointee.zErrMsg = tt_message("\(error)")
            return error is LogError ? SQLITE_CORRUPT : SQLITE_ERROR
        }
    }
}
