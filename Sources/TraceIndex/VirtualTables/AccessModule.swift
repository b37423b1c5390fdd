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

    private struct Cursor {
        var base = sqlite3_vtab_cursor()
        var scan: Unmanaged<AccessScan>
    }

    /// Registers the table in a connection.
    static func register(_ connection: OpaquePointer, _ registry: LogRegistry) -> Int32 {
        VirtualTable.register(connection, name, module, registry)
    }

    // The module is never changed.
    nonisolated(unsafe) private static let module = VirtualTable.module { module in
        module.xConnect = { connection, registry, _, _, table, _ in
            VirtualTable.connect(connection, registry, table, declaration: declaration)
        }
        module.xBestIndex = { table, info in
            guard let table, let info else { return SQLITE_MISUSE }
            let own = VirtualTable.table(table)
            let registry = own.pointee.registry.takeUnretainedValue()
            registry.refresh(own.pointee.connection)
            let code = ScanPlan.choose(
                info, columns, rowCount: registry.accessCount, isOrdered: registry.isOrdered)
            // Rows always come forwards.
            if info.pointee.idxNum & ScanPlan.isDescending != 0 {
                info.pointee.idxNum &= ~ScanPlan.isDescending
                info.pointee.orderByConsumed = 0
            }
            return code
        }
        module.xOpen = { _, cursor in
            guard let cursor else { return SQLITE_MISUSE }
            let made = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
            made.initialize(to: Cursor(scan: Unmanaged.passRetained(AccessScan())))
            cursor.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        module.xClose = { base in
            guard let base else { return SQLITE_OK }
            let cursor = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Cursor.self)
            cursor.pointee.scan.release()
            cursor.deallocate()
            return SQLITE_OK
        }
        module.xFilter = { base, _, plan, count, values in
            guard let base, let table = base.pointee.pVtab else { return SQLITE_MISUSE }
            let own = VirtualTable.table(table)
            let bounds = ScanPlan.Bounds(plan: plan, count, values, log: log)
            let registry = own.pointee.registry.takeUnretainedValue()
            return VirtualTable.guarding(table) {
                try AccessModule.scan(base).begin(registry.source(bounds.log, own.pointee.connection), bounds)
            }
        }
        module.xNext = { base in
            guard let base, let table = base.pointee.pVtab else { return SQLITE_MISUSE }
            return VirtualTable.guarding(table) { try AccessModule.scan(base).advance() }
        }
        module.xEof = { base in
            guard let base else { return 1 }
            return AccessModule.scan(base).isAtEnd ? 1 : 0
        }
        module.xColumn = { base, context, column in
            guard let base, let context else { return SQLITE_MISUSE }
            AccessModule.scan(base).answer(context, column)
            return SQLITE_OK
        }
        module.xRowid = { base, row in
            guard let base, let row else { return SQLITE_MISUSE }
            row.pointee = AccessModule.scan(base).seq
            return SQLITE_OK
        }
    }

    private static func scan(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>) -> AccessScan {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Cursor.self).pointee.scan.takeUnretainedValue()
    }
}
