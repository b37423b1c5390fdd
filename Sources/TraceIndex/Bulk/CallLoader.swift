// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree

/// Writes the table of calls and its indexes into a database file, page after page.
///
/// Rows are numbered in the order in which calls begin, and become known in the order in which they end. A window of the
/// latest calls waits for its ends. A call that is open when it leaves the window is written with room for all values,
/// and its row is replaced when it ends. The table and its indexes must be empty, and no connection may have the file
/// open.
struct CallLoader: ~Copyable {
    /// The pages at which the table and its indexes begin.
    struct Roots {
        var table: UInt32
        var byFunction: UInt32
        var byBegin: UInt32
        var byParent: UInt32

        /// Reads the pages from the schema.
        init(in database: Database) throws(SQLError) {
            table = try database.rootPage("_call") ?? 0
            byFunction = try database.rootPage("_call_function") ?? 0
            byBegin = try database.rootPage("_call_begin") ?? 0
            byParent = try database.rootPage("_call_parent") ?? 0
        }
    }

    /// A row in the window.
    private struct Slot {
        var call: CallRecord
        /// The number of calls that had ended when it did; nil while it is open.
        var ended: UInt64?
    }

    /// A row that can still change.
    private struct LateRow {
        var place: TableTree.Place
        var function: UInt64
        /// As in a slot.
        var ended: UInt64?
    }

    private var writer: PageWriter
    private var table = TableTree()
    private var record = RowRecord()
    private var byFunction: PairSorter
    private var byBegin: PairSorter
    private var byParent: PairSorter
    private let slots: UnsafeMutablePointer<Slot>
    /// The rows in the window.
    private var window: Range<Int64> = 1..<1
    private var lateRows: [Int64: LateRow] = [:]
    /// The number of late rows at which those that cannot change are dropped.
    private var lateLimit = 4096
    /// Calls that ended and may be reopened.
    private var endedCount: UInt64 = 0

    /// Calls in the window: a power of two.
    static let windowSize: Int64 = 1 << 16
    /// A call may be reopened until so many others have ended.
    static let reopenLimit = 4096

    /// - Parameters:
    ///   - path: the database file.
    ///   - target: the name that the file will have; temporary files are made beside it.
    init(path: String, target: String) throws(IndexError) {
        writer = try PageWriter(path: path)
        byFunction = PairSorter(target: target)
        byBegin = PairSorter(target: target)
        byParent = PairSorter(target: target)
        slots = .allocate(capacity: Int(CallLoader.windowSize))
    }

    deinit { slots.deallocate() }

    private func slot(_ id: Int64) -> UnsafeMutablePointer<Slot> { slots + Int(id & (CallLoader.windowSize - 1)) }

    /// Takes a call that begins, and gives it its number.
    mutating func begin(_ call: inout CallRecord) throws(IndexError) {
        if window.count == CallLoader.windowSize { try writeFirst() }
        call.id = window.upperBound
        slot(call.id).initialize(to: Slot(call: call, ended: nil))
        window = window.lowerBound..<call.id + 1
    }

    /// Takes a call that is complete. Each call that began must be completed.
    ///
    /// - Parameter mayReopen: whether it may be taken back.
    mutating func complete(_ call: CallRecord, mayReopen: Bool = false) throws(IndexError) {
        if mayReopen { endedCount += 1 }
        guard call.id < window.lowerBound else {
            slot(call.id).initialize(to: Slot(call: call, ended: endedCount))
            return
        }
        guard var row = lateRows[call.id] else { return }
        row.function = call.function
        row.ended = endedCount
        lateRows[call.id] = row
        encode(call, isWide: true)
        try table.replace(row.place, record, in: &writer)
        if lateRows.count >= lateLimit { try dropFinalRows() }
    }

    /// Takes a call back that was completed and may be reopened.
    mutating func reopen(_ id: Int64) {
        if id < window.lowerBound { lateRows[id]?.ended = nil } else { slot(id).pointee.ended = nil }
    }

    private func isFinal(_ ended: UInt64?) -> Bool {
        ended.map { endedCount - $0 >= CallLoader.reopenLimit } ?? false
    }

    /// Writes the first row of the window.
    private mutating func writeFirst(isEnd: Bool = false) throws(IndexError) {
        let id = window.lowerBound
        let (call, ended) = (slot(id).pointee.call, slot(id).pointee.ended)
        window = id + 1..<window.upperBound
        let isWide = !isEnd && !isFinal(ended)
        encode(call, isWide: isWide)
        let place = try table.addLocal(UInt64(id), record, to: &writer)
        if isWide {
            lateRows[id] = LateRow(place: place, function: call.function, ended: ended)
        } else {
            try byFunction.add(Int64(bitPattern: call.function), row: id)
        }
        try byBegin.add(Int64(bitPattern: call.beginClock), row: id)
        // 0 is NULL, which an index has before all numbers; parents are positive.
        try byParent.add(call.parent, row: id)
    }

    /// Forgets late rows that cannot change any more.
    private mutating func dropFinalRows(isEnd: Bool = false) throws(IndexError) {
        for (id, row) in lateRows where isEnd || isFinal(row.ended) {
            try byFunction.add(Int64(bitPattern: row.function), row: id)
            lateRows[id] = nil
        }
        lateLimit = max(4096, 2 * lateRows.count)
    }

    /// Writes the rest, and the indexes.
    mutating func finish(_ roots: Roots) throws(IndexError) {
        while !window.isEmpty { try writeFirst(isEnd: true) }
        try dropFinalRows(isEnd: true)
        try table.finish(root: roots.table, &writer)
        try CallLoader.write(&byFunction, root: roots.byFunction, &record, &writer)
        try CallLoader.write(&byBegin, root: roots.byBegin, &record, &writer)
        try CallLoader.write(&byParent, root: roots.byParent, &record, &writer, zeroIsNull: true)
        try writer.finish()
    }

    private static func write(
        _ pairs: inout PairSorter, root: UInt32, _ record: inout RowRecord, _ writer: inout PageWriter,
        zeroIsNull: Bool = false
    ) throws(IndexError) {
        var index = IndexTree()
        try pairs.visit { pair throws(IndexError) in
            record.begin()
            if zeroIsNull, pair.key == 0 { record.addNull() } else { record.add(pair.key) }
            record.add(pair.row)
            try index.add(record, to: &writer)
        }
        try index.finish(root: root, &writer)
    }

    /// The row of a call: the columns of `_call`, after the rowid.
    ///
    /// - Parameter isWide: whether the values that change until the end have room for any value. An end that is not
    ///   known is -1 then, and NULL otherwise.
    private mutating func encode(_ call: CallRecord, isWide: Bool) {
        record.begin()
        record.addNull()
        record.add(Int64(call.vcpu))
        record.add(Int64(call.stack))
        record.add(Int64(call.depth))
        if call.parent == 0 { record.addNull() } else { record.add(call.parent) }
        record.add(Int64(call.kind.rawValue))
        record.add(Int64(bitPattern: call.callSite))
        record.add(Int64(bitPattern: call.target))
        add(call.function, isWide)
        record.add(Int64(bitPattern: call.beginClock))
        addEnd(call, call.endClock, isWide)
        guard call.hasIcount else {
            for _ in 0..<4 { record.addNull() }
            return addBranches(of: call, isWide)
        }
        record.add(Int64(bitPattern: call.beginIcount))
        addEnd(call, call.endIcount, isWide)
        add(call.selfInstructions, isWide)
        add(call.totalInstructions, isWide)
        addBranches(of: call, isWide)
    }

    private mutating func addBranches(of call: CallRecord, _ isWide: Bool) {
        add(call.selfBranches, isWide)
        add(call.totalBranches, isWide)
        add(call.interruptions, isWide)
        if call.hasIcount { add(call.interruptionInstructions, isWide) } else { record.addNull() }
        add(UInt64(call.ending.number), isWide)
    }

    private mutating func addEnd(_ call: CallRecord, _ value: UInt64, _ isWide: Bool) {
        if call.hasEnd { add(value, isWide) } else if isWide { record.addWide(-1) } else { record.addNull() }
    }

    @inline(__always)
    private mutating func add(_ value: UInt64, _ isWide: Bool) {
        if isWide { record.addWide(Int64(bitPattern: value)) } else { record.add(Int64(bitPattern: value)) }
    }
}
