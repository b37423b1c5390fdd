// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// The virtual table of branches: `SELECT … FROM ttlog_branch('KEY')`. KEY identifies a log; the view `branch` names it.
///
/// Chunks are decoded one by one, on demand. Range constraints on brctr, icount, vcpu and epoch select chunks. Equalities
/// on from, to and kind are tested on the decoded columns before SQLite sees a row; SQLite itself tests other constraints
/// on them. If the index records which chunks contain each from and to address, an equality on from or to reads only
/// those chunks. If a chunk cannot be read, the query fails with SQLITE_CORRUPT, and the message names the file and the
/// offset.
///
/// 64-bit values are SQLite's signed integers with the same bits: addresses from 2^63 on are negative and sort first.
enum BranchModule {
    static let name = "ttlog_branch"

    /// The numbers of the columns, in the order of the declaration.
    enum Column {
        static let brctr: Int32 = 0
        static let vcpu: Int32 = 1
        static let icount: Int32 = 2
        static let from: Int32 = 3
        static let to: Int32 = 4
        static let kind: Int32 = 5
        static let epoch: Int32 = 6
        /// Hidden: the argument of the table-valued function, the key of a log. SQLite does not read it, because the plan
        /// omits its test.
        static let log: Int32 = 7
    }

    private static let declaration =
        "CREATE TABLE x(brctr INT, vcpu INT, icount INT, \"from\" ADDRESS INT, \"to\" ADDRESS INT, kind TEXT, "
        + "epoch INT, log HIDDEN)"

    private static let columns = ScanPlan.Columns(
        clock: Column.brctr, ranges: [Column.brctr, Column.icount, Column.vcpu, Column.epoch],
        equalities: [Column.from, Column.to, Column.kind], log: Column.log)

    /// A cursor, allocated in xOpen and freed in xClose. `base` must stay the first field, because SQLite uses the cursor as
    /// a sqlite3_vtab_cursor. All fields must be trivial types.
    ///
    /// The pointers are the columns of the decoded chunk. xColumn, and xNext without a filter, read them without a call
    /// into the scan.
    struct Cursor {
        var base = sqlite3_vtab_cursor()
        var scan: Unmanaged<BranchScan>
        var from: UnsafePointer<UInt64>
        var to: UnsafePointer<UInt64>
        var icount: UnsafePointer<UInt64>
        var label: UnsafePointer<UInt8>
        var clockFirst: UInt64 = 0
        /// Branches of the log before the chunk.
        var ordinal: Int64 = 0
        var vcpu: Int64 = 0
        var epoch: Int64 = 0
        /// The index of the current row in the chunk.
        var index = 0
        /// The index in the chunk of the last row that the scan visits: the lowest one if the scan descends.
        var last = -1
        /// 1, or -1 if the scan descends.
        var step = 1
        /// Whether the scan tests each row. xNext then calls the scan for every row.
        var hasFilter = false
        var hasIcount = false
        var isAtEnd = true
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
            let registry = VirtualTable.table(table).pointee.registry.takeUnretainedValue()
            registry.refresh(VirtualTable.table(table).pointee.connection)
            return ScanPlan.choose(
                info, columns, rowCount: registry.branchCount, isOrdered: registry.isOrdered)
        }
        module.xOpen = { _, cursor in
            guard let cursor else { return SQLITE_MISUSE }
            let made = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
            let scan = BranchScan()
            let batch = scan.batch
            made.initialize(
                to: Cursor(
                    scan: Unmanaged.passRetained(scan), from: batch.pointee.from, to: batch.pointee.to,
                    icount: batch.pointee.icount, label: batch.pointee.label))
            cursor.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        module.xClose = { base in
            guard let base else { return SQLITE_OK }
            let cursor = BranchModule.cursor(base)
            cursor.pointee.scan.release()
            cursor.deallocate()
            return SQLITE_OK
        }
        module.xFilter = { base, number, plan, count, values in
            guard let base, let table = base.pointee.pVtab else { return SQLITE_MISUSE }
            let cursor = BranchModule.cursor(base)
            let own = VirtualTable.table(table)
            let bounds = ScanPlan.Bounds(plan: plan, count, values, log: Column.log)
            let registry = own.pointee.registry.takeUnretainedValue()
            return VirtualTable.guarding(table) {
                let source = try registry.source(bounds.log, own.pointee.connection)
                try cursor.pointee.scan.takeUnretainedValue().begin(
                    source, bounds, isDescending: number & ScanPlan.isDescending != 0,
                    columns: decoded(number >> ScanPlan.usedColumnsShift), own.pointee.connection, cursor)
            }
        }
        module.xNext = { base in
            guard let base else { return SQLITE_MISUSE }
            let cursor = BranchModule.cursor(base)
            if !cursor.pointee.hasFilter, cursor.pointee.index != cursor.pointee.last {
                cursor.pointee.index &+= cursor.pointee.step
                return SQLITE_OK
            }
            guard let table = base.pointee.pVtab else { return SQLITE_MISUSE }
            return VirtualTable.guarding(table) {
                try cursor.pointee.scan.takeUnretainedValue().advance(cursor)
            }
        }
        module.xEof = { base in
            guard let base else { return 1 }
            return BranchModule.cursor(base).pointee.isAtEnd ? 1 : 0
        }
        module.xColumn = { base, context, column in
            guard let base else { return SQLITE_MISUSE }
            let cursor = BranchModule.cursor(base)
            let index = cursor.pointee.index
            switch column {
            case Column.brctr:
                sqlite3_result_int64(context, Int64(bitPattern: cursor.pointee.clockFirst &+ UInt64(index)))
            case Column.vcpu: sqlite3_result_int64(context, cursor.pointee.vcpu)
            case Column.icount:
                if cursor.pointee.hasIcount {
                    sqlite3_result_int64(context, Int64(bitPattern: cursor.pointee.icount[index]))
                }
            case Column.from: sqlite3_result_int64(context, Int64(bitPattern: cursor.pointee.from[index]))
            case Column.to: sqlite3_result_int64(context, Int64(bitPattern: cursor.pointee.to[index]))
            case Column.kind:
                let name = LabelTexts.shared.text(cursor.pointee.label[index])
                tt_result_static_text(context, name.start, name.count)
            case Column.epoch: sqlite3_result_int64(context, cursor.pointee.epoch)
            default: sqlite3_result_null(context)
            }
            return SQLITE_OK
        }
        module.xRowid = { base, row in
            guard let base, let row else { return SQLITE_MISUSE }
            let cursor = BranchModule.cursor(base)
            // The branch's number in the log. brctr would not do: two vCPUs have the same ones, and SQLite takes rows with one
            // rowid for the same row (OR).
            row.pointee = cursor.pointee.ordinal &+ Int64(cursor.pointee.index)
            return SQLITE_OK
        }
    }

    /// The columns of a chunk that a query needs, by the bits of the table's columns.
    private static func decoded(_ used: Int32) -> BranchBatch.Columns {
        func uses(_ column: Int32) -> Bool { used >> column & 1 != 0 }
        var columns: BranchBatch.Columns = []
        if uses(Column.from) || uses(Column.to) { columns.insert(.path) }
        if uses(Column.kind) { columns.insert(.label) }
        if uses(Column.icount) { columns.insert(.icount) }
        return columns
    }

    @inline(__always)
    private static func cursor(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>) -> UnsafeMutablePointer<Cursor> {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Cursor.self)
    }
}
