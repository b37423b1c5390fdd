// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Symbolize

/// Fills the tables of events, notes, chunks and facts about the run.
struct EventStage {
    private let log: LogFile
    private let tables: [(stream: LogStream, name: String)]
    private var problems = ProblemCounts(.events)
    private var unknownKinds: Set<EventKind> = []

    init(_ log: LogFile, hasAccessRows: Bool) {
        self.log = log
        tables = [(.event, "_event"), (.meta, "_note")] + (hasAccessRows ? [(.access, "_access")] : [])
    }

    /// Writes the records into the tables of a file that no connection has open. The tables are empty.
    ///
    /// - Parameter progress: Takes the share that is done, 0 ... 1.
    mutating func load(into path: String, progress: (Double) -> Void) throws {
        let roots = try roots(in: path)
        let total = log.chunks.lazy.filter { [tables] chunk in tables.contains { $0.stream == chunk.stream } }
            .reduce(0) { $0 + $1.count }
        var batch = EventBatch()
        var done = 0
        for ((stream, _), roots) in zip(tables, roots) {
            var loader = try EventLoader(path: path)
            for chunk in log.chunks where chunk.stream == stream {
                do {
                    try log.decode(chunk, into: &batch)
                } catch {
                    problems.add(.unreadableEvents, [error.damage(of: chunk)])
                    continue
                }
                loader.begin(vcpu: chunk.vcpu, epoch: chunk.epoch)
                for index in 0..<batch.count {
                    note(batch, index)
                    try loader.add(batch, index)
                }
                done += chunk.count
                progress(Double(done) / Double(max(total, 1)))
            }
            try loader.finish(roots)
        }
    }

    private func roots(in path: String) throws(SQLError) -> [EventLoader.Roots] {
        let database = try Database(path: path, .build)
        var roots: [EventLoader.Roots] = []
        for table in tables { roots.append(try EventLoader.Roots(table.name, in: database)) }
        return roots
    }

    /// Writes the rest: the names of code addresses in the records, and the small tables.
    func complete(_ database: Database, symbolizer: Symbolizer?) throws(SQLError) {
        if let symbolizer { try namePlaces(database, symbolizer) }
        try writeKinds(database)
        try writeLabels(database)
        try writeChunks(database)
        try RunFacts(log).write(to: database)
        var problems = problems
        problems.addState(of: log)
        try problems.write(to: database)
    }

    private func namePlaces(_ database: Database, _ symbolizer: Symbolizer) throws(SQLError) {
        // A value without an address is where code goes on: the handler of an interrupt.
        let queries = tables.flatMap { table in
            [
                "SELECT ip FROM \(table.name) WHERE ip IS NOT NULL",
                "SELECT v0 FROM \(table.name) WHERE v0 IS NOT NULL AND address IS NULL",
            ]
        }
        try PlaceCollector.name(queries.joined(separator: " UNION "), symbolizer, in: database)
    }

    /// Notes unusual properties of a record.
    private mutating func note(_ batch: borrowing EventBatch, _ index: Int) {
        let kind = batch.kind(index)
        if !kind.isKnown {
            unknownKinds.insert(kind)
            problems.add(.unknownKind, source: kind.name)
        } else if kind.usualStream != batch.stream {
            problems.add(.unusualStream, source: kind.name)
        }
    }

    // MARK: Small tables

    private func writeKinds(_ database: Database) throws(SQLError) {
        let insert = try database.prepare("INSERT INTO _kind VALUES (?, ?)")
        for kind in EventKind.all + unknownKinds.sorted(by: { $0.rawValue < $1.rawValue }) {
            insert.bind(1, Int64(kind.rawValue))
            insert.bind(2, kind.name)
            try insert.run()
        }
    }

    private func writeLabels(_ database: Database) throws(SQLError) {
        let insert = try database.prepare("INSERT INTO _label VALUES (?, ?)")
        for value in UInt8.min ... .max {
            insert.bind(1, Int64(value))
            insert.bind(2, BranchLabel(rawValue: value).name)
            try insert.run()
        }
    }

    private func writeChunks(_ database: Database) throws(SQLError) {
        let marks = Array(repeating: "?", count: 15).joined(separator: ", ")
        let insert = try database.prepare("INSERT INTO _chunk VALUES (\(marks))")
        let hasIcount = log.header.features.contains(.icount)
        for (number, chunk) in log.chunks.enumerated() {
            insert.bind(1, Int64(number))
            insert.bind(2, chunk.stream.name)
            insert.bind(3, chunk.vcpu == noVCPU ? nil : Int64(chunk.vcpu))
            insert.bind(4, Int64(chunk.epoch))
            insert.bind(5, bits: chunk.cell)
            insert.bind(6, Int64(chunk.part))
            insert.bind(7, Int64(chunk.count))
            insert.bind(8, chunk.isElided ? 1 : 0)
            insert.bind(9, bits: chunk.offset)
            insert.bind(10, Int64(chunk.storedSize))
            insert.bind(11, Int64(chunk.rawSize))
            insert.bind(12, bits: chunk.clockFirst)
            insert.bind(13, bits: chunk.clockLast)
            insert.bind(14, bits: hasIcount ? chunk.icountFirst : nil)
            insert.bind(15, bits: hasIcount ? chunk.icountLast : nil)
            try insert.run()
        }
    }
}

extension ProblemCounts {
    /// Adds the problems of a log as a whole.
    mutating func addState(of log: LogFile) {
        let name = IndexLocation.name(log.path)
        add(.damage, log.structuralDamage + log.metaDamage)
        switch log.completeness {
        case .closed: break
        case .beingWritten: add(.beingWritten, source: name, text: "the index ends where the log ended")
        case .unclosed(let openFileFound):
            add(
                .unclosed, source: name,
                text: openFileFound
                    ? "its recorder was killed; the committed records are here"
                    : "its recorder was killed; records may be missing at the end")
        }
        add(.lost, source: name, count: log.lostRecords, text: "its recorder could not write them")
        var epochs: Set<[UInt32]> = []
        for chunk in log.chunks where chunk.stream.isCompared && chunk.epoch > 0 {
            epochs.insert([UInt32(chunk.vcpu), chunk.epoch])
        }
        add(.gap, source: name, count: UInt64(epochs.count), text: "nothing was recorded between two epochs")
        let elided = log.chunks.lazy.filter(\.isElided).reduce(0 as UInt64) { $0 &+ UInt64($1.count) }
        add(.elided, source: name, count: elided, text: "mode digest")
    }
}
