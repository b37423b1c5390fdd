// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// One scan of the virtual table of branches: chooses chunks, decodes them, and finds the rows that match.
final class BranchScan {
    private var reader = BranchChunkReader()
    /// The chunks that the scan may have to read.
    private var chunks: [Chunk] = []
    /// The branches of the log before each of them.
    private var ordinals: [Int] = []
    private var next = 0
    private var isDescending = false
    private var clocks: ClosedRange<UInt64> = 0...UInt64.max
    private var icounts: ClosedRange<UInt64> = 0...UInt64.max
    private var from: UInt64?
    private var to: UInt64?
    /// The labels that may come, a flag for each; empty: all.
    private var labels: [Bool] = []

    init() {}

    /// The batch of the last chunk that was decoded.
    var batch: UnsafeMutablePointer<BranchBatch> { reader.batch }

    /// Steps to the first row.
    ///
    /// - Parameter columns: the columns that the query reads.
    func begin(
        _ source: LogRegistry.Source, _ bounds: ScanPlan.Bounds, isDescending: Bool, columns: BranchBatch.Columns,
        _ connection: OpaquePointer, _ cursor: UnsafeMutablePointer<BranchModule.Cursor>
    ) throws {
        typealias Column = BranchModule.Column
        self.isDescending = isDescending
        clocks = bounds.unsigned(Column.brctr)
        icounts = bounds.unsigned(Column.icount)
        from = bounds.value(Column.from).map { UInt64(bitPattern: $0) }
        to = bounds.value(Column.to).map { UInt64(bitPattern: $0) }
        labels = bounds.texts[Column.kind].map(BranchScan.labels) ?? []
        cursor.pointee.hasIcount = source.log.header.features.contains(.icount)
        cursor.pointee.hasFilter = from != nil || to != nil || !labels.isEmpty || icounts != 0...UInt64.max
        cursor.pointee.step = isDescending ? -1 : 1
        cursor.pointee.isAtEnd = false
        (cursor.pointee.index, cursor.pointee.last) = (0, 0)
        next = 0
        var columns = columns
        if from != nil || to != nil { columns.insert(.path) }
        if !labels.isEmpty { columns.insert(.label) }
        if icounts != 0...UInt64.max { columns.insert(.icount) }
        var places = bounds.isEmpty ? [] : chosen(source, bounds)
        if from != nil || to != nil, places.count > 1 {
            try EdgeBlocks.narrow(&places, source, connection, from: from, to: to)
        }
        if isDescending { places.reverse() }
        chunks = places.map { source.branchChunks[$0] }
        ordinals = places.map { source.branchOrdinals[$0] }
        reader.begin(source.log, chunks[...], columns: columns, readsAhead: true)
        try loadChunk(cursor)
    }

    /// The chunks whose headers do not exclude them.
    private func chosen(_ source: LogRegistry.Source, _ bounds: ScanPlan.Bounds) -> [Int] {
        let vcpus = bounds.unsigned(BranchModule.Column.vcpu)
        let epochs = bounds.unsigned(BranchModule.Column.epoch)
        let hasIcount = source.log.header.features.contains(.icount)
        return source.branchChunks.indices.filter { index in
            let chunk = source.branchChunks[index]
            guard !chunk.isElided, vcpus.contains(UInt64(chunk.vcpu)), epochs.contains(UInt64(chunk.epoch)),
                chunk.clockFirst <= clocks.upperBound, chunk.clockLast >= clocks.lowerBound
            else { return false }
            // A guest that was put back has counts that step back: such a chunk is read.
            guard hasIcount, chunk.icountFirst <= chunk.icountLast else { return true }
            return chunk.icountFirst <= icounts.upperBound && chunk.icountLast >= icounts.lowerBound
        }
    }

    private static func labels(named name: [UInt8]) -> [Bool] {
        (UInt8.min ... .max).map { Array(BranchLabel(rawValue: $0).name.utf8) == name }
    }

    /// Steps to the next row that matches.
    func advance(_ cursor: UnsafeMutablePointer<BranchModule.Cursor>) throws {
        guard cursor.pointee.index != cursor.pointee.last else { return try loadChunk(cursor) }
        cursor.pointee.index &+= cursor.pointee.step
        if cursor.pointee.hasFilter, !find(cursor) { try loadChunk(cursor) }
    }

    /// Decodes chunks until one has a row that matches; else the scan is at its end.
    private func loadChunk(_ cursor: UnsafeMutablePointer<BranchModule.Cursor>) throws {
        while next < chunks.count {
            let (chunk, ordinal) = (chunks[next], ordinals[next])
            try reader.read(next)
            next += 1
            let batch = batch
            let rows = batch.pointee.range(
                from: clocks.lowerBound, to: clocks.upperBound == .max ? .max : clocks.upperBound + 1)
            guard let first = rows.first, let last = rows.last else { continue }
            cursor.pointee.from = batch.pointee.from
            cursor.pointee.to = batch.pointee.to
            cursor.pointee.icount = batch.pointee.icount
            cursor.pointee.label = batch.pointee.label
            cursor.pointee.clockFirst = batch.pointee.clockFirst
            cursor.pointee.ordinal = Int64(ordinal)
            cursor.pointee.vcpu = Int64(chunk.vcpu)
            cursor.pointee.epoch = Int64(chunk.epoch)
            cursor.pointee.index = isDescending ? last : first
            cursor.pointee.last = isDescending ? first : last
            if !cursor.pointee.hasFilter || find(cursor) { return }
        }
        cursor.pointee.isAtEnd = true
    }

    /// Steps to the first row at or after the current one that matches; false if the chunk has none.
    private func find(_ cursor: UnsafeMutablePointer<BranchModule.Cursor>) -> Bool {
        let (from, to) = (batch.pointee.from, batch.pointee.to)
        let (icount, label) = (batch.pointee.icount, batch.pointee.label)
        let (last, step) = (cursor.pointee.last, cursor.pointee.step)
        let hasLabels = !labels.isEmpty
        let (wantedFrom, wantedTo) = (self.from ?? 0, self.to ?? 0)
        let (anyFrom, anyTo) = (self.from == nil, self.to == nil)
        let counts = icounts
        var index = cursor.pointee.index
        while true {
            if anyTo || to[index] == wantedTo, anyFrom || from[index] == wantedFrom,
                !hasLabels || labels[Int(label[index])], counts.contains(icount[index])
            {
                cursor.pointee.index = index
                return true
            }
            if index == last { return false }
            index &+= step
        }
    }
}
