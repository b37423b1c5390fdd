// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// One scan of the virtual table of accesses.
final class AccessScan {
    private var batch = EventBatch()
    private var source: LogRegistry.Source?
    private var chunks: [Int] = []
    private var next = 0
    /// Records in the chunks before the current one.
    private var base = 0
    private var index = 0
    private var vcpu: Int64 = 0
    private var clocks: ClosedRange<UInt64> = 0...UInt64.max
    private var kinds: ClosedRange<UInt64> = 0...UInt64.max
    private(set) var isAtEnd = true

    init() {}

    /// The row's number.
    var seq: Int64 { Int64(base + index + 1) }

    /// Steps to the first row.
    func begin(_ source: LogRegistry.Source, _ bounds: ScanPlan.Bounds) throws {
        self.source = source
        clocks = bounds.unsigned(AccessModule.brctr)
        kinds = bounds.unsigned(AccessModule.kind)
        let vcpus = bounds.unsigned(AccessModule.vcpu)
        let epochs = bounds.unsigned(AccessModule.epoch)
        chunks =
            bounds.isEmpty
            ? []
            : source.accessChunks.indices.filter { place in
                let chunk = source.accessChunks[place]
                return vcpus.contains(UInt64(chunk.vcpu)) && epochs.contains(UInt64(chunk.epoch))
                    && chunk.clockFirst <= clocks.upperBound && chunk.clockLast >= clocks.lowerBound
            }
        next = 0
        isAtEnd = false
        try loadChunk()
    }

    /// Steps to the next row that matches.
    func advance() throws {
        index += 1
        if !find() { try loadChunk() }
    }

    private func loadChunk() throws {
        guard let source else { return }
        while next < chunks.count {
            let place = chunks[next]
            let chunk = source.accessChunks[place]
            next += 1
            try source.log.decode(chunk, into: &batch)
            base = source.accessOrdinals[place]
            vcpu = Int64(chunk.vcpu)
            index = 0
            if find() { return }
        }
        isAtEnd = true
    }

    private func find() -> Bool {
        while index < batch.count {
            if clocks.contains(batch.clock(index)), kinds.contains(UInt64(batch.kind(index).rawValue)) { return true }
            index += 1
        }
        return false
    }

    /// Answers with a column of the row.
    func answer(_ context: OpaquePointer, _ column: Int32) {
        func put(_ value: UInt64?) {
            if let value { sqlite3_result_int64(context, Int64(bitPattern: value)) }
        }
        let validity = batch.validity(index)
        switch column {
        case 0: sqlite3_result_int64(context, seq)
        case 1: sqlite3_result_int64(context, vcpu)
        case 2: put(UInt64(batch.epoch))
        case 3: put(batch.clock(index))
        case 4: put(validity.contains(.icount) ? batch.icount(index) : nil)
        case 5: put(validity.contains(.ip) ? batch.ip(index) : nil)
        case 6: put(validity.contains(.rcx) ? batch.aux(index) : nil)
        case 7: put(validity.contains(.registers) ? batch.aux(index) : nil)
        case 8: put(UInt64(batch.kind(index).rawValue))
        case 9: put(UInt64(batch.info(index)))
        case 10...18: answerPayload(context, Int(column) - 10)
        case 19: put(batch.ticket(index))
        case 20: put(validity.contains(.tsc) ? batch.tsc(index) : nil)
        default: sqlite3_result_null(context)
        }
    }

    /// The address, the words, the payload and the details, in this order.
    private func answerPayload(_ context: OpaquePointer, _ column: Int) {
        let payload = batch.payload(index)
        let words = EventWords(payload, batch.validity(index))
        switch column {
        case 0: if let address = words.address { sqlite3_result_int64(context, Int64(bitPattern: address)) }
        case 1...EventColumns.wordCount:
            if column <= words.count {
                sqlite3_result_int64(context, Int64(bitPattern: words.value(column - 1, of: payload)))
            }
        default:
            guard !words.isRegular(batch.kind(index), info: batch.info(index)) else { return }
            guard column == EventColumns.wordCount + 2 else {
                tt_result_blob(context, payload.baseAddress, Int32(payload.count))
                return
            }
            let details = batch[index].details { _ in "" }
            let bytes = details.utf8CString
            bytes.withUnsafeBufferPointer { tt_result_text(context, $0.baseAddress, Int32(clamping: $0.count - 1)) }
        }
    }
}
