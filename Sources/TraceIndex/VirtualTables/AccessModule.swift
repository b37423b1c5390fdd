// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// The virtual table of accesses: `SELECT … FROM ttlog_access('KEY')`, with the columns of a table of events.
///
/// A Linux boot reads clocks and ports millions of times; as rows of the index they would take more space than the log.
/// The view `access` and the views of the kinds of accesses read this table, unless the index has accesses as rows.
enum AccessModule {
    static let name = "ttlog_access"

    /// The table's columns: `seq`, then those of ``EventColumns``, then the log's key.
    private static let declaration =
        "CREATE TABLE x(seq INTEGER PRIMARY KEY, \(EventColumns.definition), log HIDDEN)"

    /// The number of a column.
    static func number(_ name: String) -> Int32 { Int32((EventColumns.names.firstIndex(of: name) ?? -2) + 1) }

    static let brctr = number("brctr")
    static let vcpu = number("vcpu")
    static let epoch = number("epoch")
    static let kind = number("kind")
    static let log = Int32(EventColumns.names.count + 1)

    private static let columns = ScanPlan.Columns(
        clock: brctr, ranges: [brctr, vcpu, epoch, kind], equalities: [], log: log)

    private struct Table {
        var base = sqlite3_vtab()
        var registry: Unmanaged<LogRegistry>
        var connection: OpaquePointer
    }

    private struct Cursor {
        var base = sqlite3_vtab_cursor()
        var scan: Unmanaged<AccessScan>
    }

    /// Registers the table in a connection.
    static func register(_ connection: OpaquePointer, _ registry: LogRegistry) -> Int32 {
        sqlite3_create_module_v2(
            connection, name, module, Unmanaged.passRetained(registry).toOpaque(),
            { if let registry = $0 { Unmanaged<LogRegistry>.fromOpaque(registry).release() } })
    }

    // SQLite keeps the pointer; the module is never changed and never freed.
    nonisolated(unsafe) private static let module: UnsafePointer<sqlite3_module> = {
        let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        module.initialize(to: sqlite3_module())
        module.pointee.xConnect = { connection, registry, _, _, table, _ in
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
        module.pointee.xDisconnect = { table in
            guard let table else { return SQLITE_OK }
            sqlite3_free(table.pointee.zErrMsg)
            UnsafeMutableRawPointer(table).assumingMemoryBound(to: Table.self).deallocate()
            return SQLITE_OK
        }
        module.pointee.xBestIndex = { table, info in
            guard let table, let info else { return SQLITE_MISUSE }
            let own = UnsafeMutableRawPointer(table).assumingMemoryBound(to: Table.self)
            let registry = own.pointee.registry.takeUnretainedValue()
            registry.refresh(own.pointee.connection)
            let code = ScanPlan.choose(
                info, columns, rowCount: registry.accessCount, isOrdered: registry.isOrdered)
            // Rows always come forwards.
            if info.pointee.idxNum & ScanPlan.isDescending != 0 {
                info.pointee.idxNum = 0
                info.pointee.orderByConsumed = 0
            }
            return code
        }
        module.pointee.xOpen = { _, cursor in
            guard let cursor else { return SQLITE_MISUSE }
            let made = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
            made.initialize(to: Cursor(scan: Unmanaged.passRetained(AccessScan())))
            cursor.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        module.pointee.xClose = { base in
            guard let base else { return SQLITE_OK }
            let cursor = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Cursor.self)
            cursor.pointee.scan.release()
            cursor.deallocate()
            return SQLITE_OK
        }
        module.pointee.xFilter = { base, _, plan, count, values in
            guard let base, let table = base.pointee.pVtab else { return SQLITE_MISUSE }
            let own = UnsafeMutableRawPointer(table).assumingMemoryBound(to: Table.self)
            let bounds = ScanPlan.Bounds(plan: plan, count, values, log: log)
            let registry = own.pointee.registry.takeUnretainedValue()
            return BranchModule.guarding(table) {
                try AccessModule.scan(base).begin(registry.source(bounds.log, own.pointee.connection), bounds)
            }
        }
        module.pointee.xNext = { base in
            guard let base, let table = base.pointee.pVtab else { return SQLITE_MISUSE }
            return BranchModule.guarding(table) { try AccessModule.scan(base).advance() }
        }
        module.pointee.xEof = { base in
            guard let base else { return 1 }
            return AccessModule.scan(base).isAtEnd ? 1 : 0
        }
        module.pointee.xColumn = { base, context, column in
            guard let base, let context else { return SQLITE_MISUSE }
            AccessModule.scan(base).answer(context, column)
            return SQLITE_OK
        }
        module.pointee.xRowid = { base, row in
            guard let base, let row else { return SQLITE_MISUSE }
            row.pointee = AccessModule.scan(base).seq
            return SQLITE_OK
        }
        return UnsafePointer(module)
    }()

    private static func scan(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>) -> AccessScan {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Cursor.self).pointee.scan.takeUnretainedValue()
    }
}
