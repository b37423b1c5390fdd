// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree

/// Inserts rows of calls in groups, ordered by their numbers: a table takes them faster in this order.
struct CallRows {
    private let insert: Statement
    private let delete: Statement
    private var waiting: [CallRecord] = []
    private var removed: Set<Int64> = []
    private var lastID: Int64 = 0

    init(_ database: Database) throws(SQLError) {
        let marks = Array(repeating: "?", count: 20).joined(separator: ", ")
        insert = try database.prepare("INSERT INTO _call VALUES (\(marks))")
        delete = try database.prepare("DELETE FROM _call WHERE id = ?")
    }

    /// The number of the next call.
    mutating func nextID() -> Int64 {
        lastID += 1
        return lastID
    }

    /// Takes a call that has ended; it is written at the next ``flush()``.
    mutating func add(_ record: CallRecord) { waiting.append(record) }

    /// Takes a call back.
    mutating func remove(_ id: Int64) {
        if let place = waiting.lastIndex(where: { $0.id == id }) {
            waiting.remove(at: place)
        } else {
            removed.insert(id)
        }
    }

    /// Writes the calls that were added.
    mutating func flush() throws(SQLError) {
        for id in removed {
            delete.bind(1, id)
            try delete.run()
        }
        removed.removeAll(keepingCapacity: true)
        waiting.sort { $0.id < $1.id }
        for record in waiting { try write(record) }
        waiting.removeAll(keepingCapacity: true)
    }

    private func write(_ record: CallRecord) throws(SQLError) {
        let hasIcount = record.hasIcount
        insert.bind(1, record.id)
        insert.bind(2, Int64(record.vcpu))
        insert.bind(3, Int64(record.stack))
        insert.bind(4, Int64(record.depth))
        insert.bind(5, record.parent == 0 ? nil : record.parent)
        insert.bind(6, record.kind.name)
        insert.bind(7, bits: record.callSite)
        insert.bind(8, bits: record.target)
        insert.bind(9, bits: record.function)
        insert.bind(10, bits: record.beginClock)
        insert.bind(11, bits: record.endClock)
        insert.bind(12, bits: hasIcount ? record.beginIcount : nil)
        insert.bind(13, bits: hasIcount && record.endClock != nil ? record.endIcount : nil)
        insert.bind(14, bits: hasIcount ? record.selfInstructions : nil)
        insert.bind(15, bits: hasIcount ? record.totalInstructions : nil)
        insert.bind(16, bits: record.selfBranches)
        insert.bind(17, bits: record.totalBranches)
        insert.bind(18, bits: record.interruptions)
        insert.bind(19, bits: hasIcount ? record.interruptionInstructions : nil)
        insert.bind(20, record.ending)
        try insert.run()
    }
}
