// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// The virtual table of branches: `SELECT … FROM ttlog_branch('KEY')`. The view `branch` reads it.
///
/// Rows are decoded chunk by chunk on demand. Constraints on brctr, icount, vcpu and epoch choose chunks. Constraints
/// on from, to and kind are tested on decoded columns before SQLite sees a row. If the index has edges, equality on
/// from or to reads only the chunks that have such a branch. A chunk that cannot be read ends the query with
/// SQLITE_CORRUPT, its file and offset.
enum BranchModule {
    static let name = "ttlog_branch"

    /// The table's columns, by number.
    enum Column {
        static let brctr: Int32 = 0
        static let vcpu: Int32 = 1
        static let icount: Int32 = 2
        static let from: Int32 = 3
        static let to: Int32 = 4
        static let kind: Int32 = 5
        static let epoch: Int32 = 6
        static let log: Int32 = 7
    }

    private static let declaration =
        "CREATE TABLE x(brctr INT, vcpu INT, icount INT, \"from\" ADDRESS INT, \"to\" ADDRESS INT, kind TEXT, "
        + "epoch INT, log HIDDEN)"

    private static let columns = ScanPlan.Columns(
        clock: Column.brctr, ranges: [Column.brctr, Column.icount, Column.vcpu, Column.epoch],
        equalities: [Column.from, Column.to, Column.kind], log: Column.log)

    /// The memory that SQLite holds for the table: its own part, then ours.
    private struct Table {
        var base = sqlite3_vtab()
        var registry: Unmanaged<LogRegistry>
        var connection: OpaquePointer
    }

    /// The memory that SQLite holds for a scan: its own part, then ours. The columns of the decoded chunk are here, so
    /// that a row needs no call into an object.
    struct Cursor {
        var base = sqlite3_vtab_cursor()
        var scan: Unmanaged<BranchScan>
        var from: UnsafePointer<UInt64>
        var to: UnsafePointer<UInt64>
        var icount: UnsafePointer<UInt64>
        var label: UnsafePointer<UInt8>
        var clockFirst: UInt64 = 0
        var vcpu: Int64 = 0
        var epoch: Int64 = 0
        /// The row in the chunk.
        var index = 0
        /// The last row of the chunk that belongs to the scan.
        var last = -1
        var step = 1
        var hasFilter = false
        var hasIcount = false
        var isAtEnd = true
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
            let registry = BranchModule.table(table).pointee.registry.takeUnretainedValue()
            registry.refresh(BranchModule.table(table).pointee.connection)
            return ScanPlan.choose(
                info, columns, rowCount: registry.branchCount, isOrdered: registry.isOrdered)
        }
        module.pointee.xOpen = { _, cursor in
            guard let cursor else { return SQLITE_MISUSE }
            let made = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
            let scan = BranchScan()
            let batch = scan.columns
            made.initialize(
                to: Cursor(
                    scan: Unmanaged.passRetained(scan), from: batch.from, to: batch.to, icount: batch.icount,
                    label: batch.label))
            cursor.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        module.pointee.xClose = { base in
            guard let base else { return SQLITE_OK }
            let cursor = BranchModule.cursor(base)
            cursor.pointee.scan.release()
            cursor.deallocate()
            return SQLITE_OK
        }
        module.pointee.xFilter = { base, number, plan, count, values in
            guard let base, let table = base.pointee.pVtab else { return SQLITE_MISUSE }
            let cursor = BranchModule.cursor(base)
            let own = BranchModule.table(table)
            let bounds = ScanPlan.Bounds(plan: plan, count, values, log: Column.log)
            let registry = own.pointee.registry.takeUnretainedValue()
            return BranchModule.guarding(table) {
                let source = try registry.source(bounds.log, own.pointee.connection)
                try cursor.pointee.scan.takeUnretainedValue().begin(
                    source, bounds, isDescending: number & ScanPlan.isDescending != 0, own.pointee.connection,
                    cursor)
            }
        }
        module.pointee.xNext = { base in
            guard let base else { return SQLITE_MISUSE }
            let cursor = BranchModule.cursor(base)
            if !cursor.pointee.hasFilter, cursor.pointee.index != cursor.pointee.last {
                cursor.pointee.index &+= cursor.pointee.step
                return SQLITE_OK
            }
            guard let table = base.pointee.pVtab else { return SQLITE_MISUSE }
            return BranchModule.guarding(table) {
                try cursor.pointee.scan.takeUnretainedValue().advance(cursor)
            }
        }
        module.pointee.xEof = { base in
            guard let base else { return 1 }
            return BranchModule.cursor(base).pointee.isAtEnd ? 1 : 0
        }
        module.pointee.xColumn = { base, context, column in
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
        module.pointee.xRowid = { base, row in
            guard let base, let row else { return SQLITE_MISUSE }
            let cursor = BranchModule.cursor(base)
            row.pointee = Int64(bitPattern: cursor.pointee.clockFirst &+ UInt64(cursor.pointee.index))
            return SQLITE_OK
        }
        return UnsafePointer(module)
    }()

    @inline(__always)
    private static func cursor(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>) -> UnsafeMutablePointer<Cursor> {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Cursor.self)
    }

    private static func table(_ base: UnsafeMutablePointer<sqlite3_vtab>) -> UnsafeMutablePointer<Table> {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self)
    }

    /// Runs something that may throw, and makes SQLite's error of it.
    static func guarding(_ table: UnsafeMutablePointer<sqlite3_vtab>, _ body: () throws -> Void) -> Int32 {
        do {
            try body()
            return SQLITE_OK
        } catch {
            sqlite3_free(table.pointee.zErrMsg)
            table.pointee.zErrMsg = tt_message("\(error)")
            return error is LogError ? SQLITE_CORRUPT : SQLITE_ERROR
        }
    }
}

/// The names of labels as C strings that are never freed.
struct LabelTexts: @unchecked Sendable {
    static let shared = LabelTexts()

    private let texts: UnsafeMutablePointer<(start: UnsafePointer<CChar>, count: Int32)>

    private init() {
        texts = .allocate(capacity: 256)
        for value in UInt8.min ... .max {
            let name = Array(BranchLabel(rawValue: value).name.utf8CString)
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: name.count)
            copy.initialize(from: name, count: name.count)
            (texts + Int(value)).initialize(to: (UnsafePointer(copy), Int32(name.count - 1)))
        }
    }

    @inline(__always)
    func text(_ label: UInt8) -> (start: UnsafePointer<CChar>, count: Int32) { texts[Int(label)] }
}
