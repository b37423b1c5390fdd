// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A stream of branches: one batch a chunk, whose columns point into the decoded chunk.
final class BranchSource: BatchSource {
    private let log: OpenLog
    private let request: StreamRequest
    private let chosen: [BranchColumn]
    private let decoded: BranchBatch.Columns
    private let hasIcount: Bool
    private let pool = BranchMemory.Pool()
    private var chunks: RequestedChunks
    /// Columns of one repeated number, by the number; most batches have the same two.
    private var constants: [Int32: ConstantMemory] = [:]

    /// The most rows of a batch, and the size of repeated numbers.
    private static let rowLimit = 1 << 16

    init(_ log: OpenLog, _ request: StreamRequest) throws(RequestError) {
        self.log = log
        self.request = request
        let chosen = try request.choose(BranchColumn.allCases) { $0.rawValue }
        self.chosen = chosen
        decoded = chosen.reduce([]) { $0.union($1.decoded) }
        hasIcount = log.file.header.features.contains(.icount)
        chunks = RequestedChunks(.branch, of: log, request)
        super.init(columns: chosen.map { $0.definition(isPlain: request.usesPlainText) })
    }

    override func next() throws -> RecordBatch? {
        while true {
            let memory = BranchMemory(pool)
            let found = try chunks.next { chunk throws(LogError) in
                try log.file.decode(chunk, into: &memory.batch, columns: decoded)
            }
            guard let chunk = found else {
                try chunks.checkEnd()
                return nil
            }
            let rows = memory.batch.range(from: request.from, to: request.to)
            if !rows.isEmpty { return batch(memory, rows, chunk) }
        }
    }

    private func batch(_ memory: BranchMemory, _ rows: Range<Int>, _ chunk: Chunk) -> RecordBatch {
        RecordBatch(rows: rows.count, columns: chosen.map { column($0, memory, rows, chunk) })
    }

    private func column(
        _ column: BranchColumn, _ memory: BranchMemory, _ rows: Range<Int>, _ chunk: Chunk
    ) -> ArrowColumn {
        let first = rows.lowerBound
        func decoded(_ values: UnsafeRawPointer) -> ArrowColumn {
            ArrowColumn(length: rows.count, buffers: [nil, values], owner: memory)
        }
        func repeated(_ value: Int32) -> ArrowColumn {
            let values = constant(value)
            return ArrowColumn(length: rows.count, buffers: [nil, UnsafeRawPointer(values.words)], owner: values)
        }
        switch column {
        case .brctr: return decoded(memory.clocks(rows))
        case .icount:
            if hasIcount { return decoded(memory.batch.icount + first) }
            let zeros = constant(0)
            let words = UnsafeRawPointer(zeros.words)
            return ArrowColumn(length: rows.count, nullCount: rows.count, buffers: [words, words], owner: zeros)
        case .vcpu: return repeated(Int32(chunk.vcpu))
        case .epoch: return repeated(Int32(truncatingIfNeeded: chunk.epoch))
        case .from: return decoded(memory.batch.from + first)
        case .to: return decoded(memory.batch.to + first)
        case .kind: return kind(memory, rows)
        }
    }

    private func kind(_ memory: BranchMemory, _ rows: Range<Int>) -> ArrowColumn {
        let labels = memory.batch.label + rows.lowerBound
        guard request.usesPlainText else {
            return ArrowColumn(
                length: rows.count, buffers: [nil, UnsafeRawPointer(labels)], owner: memory,
                dictionary: LabelNames.dictionary)
        }
        var builder = ColumnBuilder(.text)
        for index in 0..<rows.count { builder.append(LabelNames.all[Int(labels[index])]) }
        return builder.finish()
    }

    /// A repeated number, with room for words of 64 bits.
    private func constant(_ value: Int32) -> ConstantMemory {
        if let known = constants[value] { return known }
        if constants.count >= 64 { constants = [:] }
        let made = ConstantMemory(value, count: 2 * BranchSource.rowLimit)
        constants[value] = made
        return made
    }
}
