// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Writes a table of events and its two indexes into a new database file, page after page.
///
/// SQLite takes about a microsecond to insert such a row and to sort it into two indexes; the pages alone take a tenth of
/// that. The tables and indexes must be empty, and no connection may have the file open.
struct EventLoader: ~Copyable {
    private var writer: PageWriter
    private var tree = TableTree()
    private var record = RowRecord()
    private var positions = EventPositions()
    private var vcpu: UInt16 = 0
    private var epoch: UInt32 = 0

    /// The pages at which the table and its indexes begin.
    struct Roots {
        var table: UInt32
        /// The index on brctr; nil for a table without indexes.
        var byClock: UInt32?
        /// The index on kind and brctr.
        var byKind: UInt32?

        /// Reads the pages of a table of events from the schema.
        init(_ table: String, in database: Database) throws(SQLError) {
            self.table = try database.rootPage(table) ?? 0
            byClock = try database.rootPage(table + "_brctr")
            byKind = try database.rootPage(table + "_kind")
        }
    }

    init(path: String) throws(IndexError) { writer = try PageWriter(path: path) }

    /// The records that follow belong to that vCPU and epoch.
    mutating func begin(vcpu: UInt16, epoch: UInt32) {
        self.vcpu = vcpu
        self.epoch = epoch
    }

    /// Adds one record of a batch: the columns of ``EventColumns/names``, after the rowid.
    mutating func add(_ batch: borrowing EventBatch, _ index: Int) throws(IndexError) {
        let validity = batch.validity(index)
        let payload = batch.payload(index)
        let kind = batch.kind(index)
        record.begin()
        record.addNull()  // the rowid
        add(vcpu == noVCPU ? nil : UInt64(vcpu))
        record.add(Int64(epoch))
        record.add(Int64(bitPattern: batch.clock(index)))
        add(validity.contains(.icount) ? batch.icount(index) : nil)
        add(validity.contains(.ip) ? batch.ip(index) : nil)
        add(validity.contains(.rcx) ? batch.aux(index) : nil)
        add(validity.contains(.registers) ? batch.aux(index) : nil)
        record.add(Int64(kind.rawValue))
        record.add(Int64(batch.info(index)))
        let words = EventWords(payload, validity)
        add(words.address)
        for word in 0..<words.count { record.add(Int64(bitPattern: words.value(word, of: payload))) }
        for _ in words.count..<EventColumns.wordCount { record.addNull() }
        if words.isRegular(kind, info: batch.info(index)) {
            record.addNull()
            record.addNull()
        } else {
            record.add(payload, isText: false)
            var details = batch[index].details { _ in "" }
            details.withUTF8 { record.add(UnsafeRawBufferPointer($0), isText: true) }
        }
        add(batch.ticket(index))
        add(validity.contains(.tsc) ? batch.tsc(index) : nil)
        positions.add(kind: kind.rawValue, clock: Int64(bitPattern: batch.clock(index)))
        try tree.add(positions.count, record, to: &writer)
    }

    private mutating func add(_ value: UInt64?) {
        if let value { record.add(Int64(bitPattern: value)) } else { record.addNull() }
    }

    /// Writes the rest, and the indexes.
    mutating func finish(_ roots: Roots) throws(IndexError) {
        try tree.finish(root: roots.table, &writer)
        if let root = roots.byClock { try writeClocks(root) }
        if let root = roots.byKind { try writeKinds(root) }
        try writer.finish()
    }

    private mutating func writeClocks(_ root: UInt32) throws(IndexError) {
        var byClock = IndexTree()
        try positions.all.visit { position throws(IndexError) in
            record.begin()
            record.add(position.clock)
            record.add(Int64(bitPattern: position.row))
            try byClock.add(record, to: &writer)
        }
        try byClock.finish(root: root, &writer)
    }

    private mutating func writeKinds(_ root: UInt32) throws(IndexError) {
        var byKind = IndexTree()
        for (kind, list) in positions.kinds {
            try list.visit { position throws(IndexError) in
                record.begin()
                record.add(Int64(kind))
                record.add(position.clock)
                record.add(Int64(bitPattern: position.row))
                try byKind.add(record, to: &writer)
            }
        }
        try byKind.finish(root: root, &writer)
    }
}

/// The clocks of rows, in a few bytes each: what the indexes of a table of events are made from.
struct EventPositions {
    /// The row of an event, and its clock.
    struct Position {
        var clock: Int64
        var row: UInt64
    }

    /// Positions in the order of their rows.
    struct List {
        private var bytes: [UInt8] = []
        private var last = Position(clock: 0, row: 0)
        /// Whether the clocks ascend.
        private var isOrdered = true

        mutating func add(_ position: Position) {
            if position.clock < last.clock, last.row > 0 { isOrdered = false }
            let step = position.clock &- last.clock
            bytes.appendVarint(UInt64(bitPattern: step << 1 ^ step >> 63))
            bytes.appendVarint(position.row &- last.row)
            last = position
        }

        /// Calls `body` with the positions by clock and row.
        func visit(_ body: (Position) throws(IndexError) -> Void) throws(IndexError) {
            if isOrdered { return try decode(body) }
            var sorted: [Position] = []
            try decode { position throws(IndexError) in sorted.append(position) }
            sorted.sort { ($0.clock, $0.row) < ($1.clock, $1.row) }
            for position in sorted { try body(position) }
        }

        private func decode(_ body: (Position) throws(IndexError) -> Void) throws(IndexError) {
            var position = Position(clock: 0, row: 0)
            var place = 0
            func next() -> UInt64 {
                var value: UInt64 = 0
                var shift: UInt64 = 0
                while true {
                    let byte = bytes[place]
                    place += 1
                    value |= UInt64(byte & 0x7f) << shift
                    if byte < 0x80 { return value }
                    shift += 7
                }
            }
            while place < bytes.count {
                let step = next()
                position.clock = position.clock &+ (Int64(bitPattern: step >> 1) ^ -Int64(bitPattern: step & 1))
                position.row = position.row &+ next()
                try body(position)
            }
        }
    }

    /// All positions.
    private(set) var all = List()
    /// Rows so far.
    private(set) var count: UInt64 = 0
    private var lists: [List] = []
    private var numbers: [UInt16: Int] = [:]
    /// The kind that came last, and its list.
    private var last: (kind: UInt16, list: Int)?

    mutating func add(kind: UInt16, clock: Int64) {
        count += 1
        let position = Position(clock: clock, row: count)
        all.add(position)
        lists[list(of: kind)].add(position)
    }

    private mutating func list(of kind: UInt16) -> Int {
        if let last, last.kind == kind { return last.list }
        let number: Int
        if let known = numbers[kind] {
            number = known
        } else {
            number = lists.count
            lists.append(List())
            numbers[kind] = number
        }
        last = (kind, number)
        return number
    }

    /// The positions of each kind, by kind.
    var kinds: [(kind: UInt16, list: List)] {
        numbers.sorted { $0.key < $1.key }.map { ($0.key, lists[$0.value]) }
    }
}
