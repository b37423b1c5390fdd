// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Symbolize

/// Fills the tables of events, notes, chunks and facts about the run.
struct EventStage {
    private let log: LogFile
    private let database: Database
    private let hasAccessRows: Bool
    private var problems = ProblemCounts(.events)
    private var places: PlaceCollector?
    private var unknownKinds: Set<EventKind> = []

    init(_ log: LogFile, _ database: Database, hasAccessRows: Bool, symbolizer: Symbolizer?) throws(SQLError) {
        self.log = log
        self.database = database
        self.hasAccessRows = hasAccessRows
        places = try symbolizer.map { symbolizer throws(SQLError) in try PlaceCollector(symbolizer, database) }
    }

    /// - Parameter progress: Takes the share that is done, 0 ... 1.
    mutating func run(progress: (Double) -> Void) throws(SQLError) {
        var batch = EventBatch()
        var tables: [(stream: LogStream, table: String)] = [(.event, "_event"), (.meta, "_note")]
        if hasAccessRows { tables.append((.access, "_access")) }
        let total = log.chunks.lazy.filter { chunk in tables.contains { $0.stream == chunk.stream } }
            .reduce(0) { $0 + $1.count }
        var done = 0
        for (stream, table) in tables {
            var inserter = try EventInserter(database, table: table)
            for chunk in log.chunks where chunk.stream == stream {
                do {
                    try log.decode(chunk, into: &batch)
                } catch {
                    problems.add(.unreadableEvents, [error.damage(of: chunk)])
                    continue
                }
                inserter.begin(vcpu: chunk.vcpu, epoch: chunk.epoch)
                for index in 0..<batch.count {
                    note(batch, index)
                    try inserter.insert(batch, index)
                }
                try places?.flush()
                done += chunk.count
                progress(Double(done) / Double(max(total, 1)))
            }
        }
        try writeKinds()
        try writeLabels()
        try writeChunks()
        try RunFacts(log).write(to: database)
        problems.addState(of: log)
        try problems.write(to: database)
    }

    /// Notes unusual properties of a record, and the code addresses in it.
    private mutating func note(_ batch: borrowing EventBatch, _ index: Int) {
        let kind = batch.kind(index)
        if !kind.isKnown {
            unknownKinds.insert(kind)
            problems.add(.unknownKind, source: kind.name)
        } else if kind.usualStream != batch.stream {
            problems.add(.unusualStream, source: kind.name)
        }
        guard places != nil else { return }
        let validity = batch.validity(index)
        if validity.contains(.ip) { places?.add(batch.ip(index)) }
        let payload = batch.payload(index)
        if validity.contains(.value), !validity.contains(.address), payload.count >= 8 {
            places?.add(payload.loadUnaligned(fromByteOffset: 0, as: UInt64.self).littleEndian)
        }
    }

    // MARK: Small tables

    private func writeKinds() throws(SQLError) {
        let insert = try database.prepare("INSERT INTO _kind VALUES (?, ?)")
        for kind in EventKind.all + unknownKinds.sorted(by: { $0.rawValue < $1.rawValue }) {
            insert.bind(1, Int64(kind.rawValue))
            insert.bind(2, kind.name)
            try insert.run()
        }
    }

    private func writeLabels() throws(SQLError) {
        let insert = try database.prepare("INSERT INTO _label VALUES (?, ?)")
        for value in UInt8.min ... .max {
            insert.bind(1, Int64(value))
            insert.bind(2, BranchLabel(rawValue: value).name)
            try insert.run()
        }
    }

    private func writeChunks() throws(SQLError) {
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
