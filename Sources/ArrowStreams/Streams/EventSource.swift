// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A stream of events, accesses or records about the run, in the order of each vCPU.
final class EventSource: TableSource<EventRow> {
    private let log: OpenLog
    private let request: StreamRequest
    private let kinds: Set<EventKind>
    private var chunks: RequestedChunks
    private let batch: UnsafeMutablePointer<EventBatch>

    init(_ log: OpenLog, _ stream: LogStream, _ request: StreamRequest) throws(RequestError) {
        self.log = log
        self.request = request
        kinds = Set(request.kinds)
        chunks = RequestedChunks(stream, of: log, request)
        batch = .allocate(capacity: 1)
        batch.initialize(to: EventBatch())
        let all = EventRow.columns(kinds: request.kinds)
        do throws(RequestError) {
            super.init(try request.choose(all) { $0.definition.name })
        } catch {
            batch.deinitialize(count: 1)
            batch.deallocate()
            throw error
        }
    }

    deinit {
        batch.deinitialize(count: 1)
        batch.deallocate()
    }

    override func produce() throws -> Bool {
        let found = try chunks.next { chunk throws(LogError) in try log.file.decode(chunk, into: &batch.pointee) }
        guard let chunk = found else {
            try chunks.checkEnd()
            return false
        }
        for index in 0..<batch.pointee.count {
            guard request.contains(clock: batch.pointee.clock(index)) else { continue }
            if !kinds.isEmpty, !kinds.contains(batch.pointee.kind(index)) { continue }
            append(EventRow(batch: batch, index: index, chunk: chunk))
        }
        return true
    }
}

/// A record of a decoded chunk; valid until the next chunk is decoded.
struct EventRow {
    let batch: UnsafeMutablePointer<EventBatch>
    let index: Int
    let chunk: Chunk

    var kind: EventKind { batch.pointee.kind(index) }

    /// The record, owning its payload.
    var event: Event { batch.pointee[index] }

    func optional(_ bit: EventValidity, _ value: UInt64) -> UInt64? {
        batch.pointee.validity(index).contains(bit) ? value : nil
    }

    /// A word of the payload: the address, or the first value.
    func word(_ bit: EventValidity) -> UInt64? {
        let validity = batch.pointee.validity(index)
        guard validity.contains(bit) else { return nil }
        let offset = bit == .value && validity.contains(.address) ? 8 : 0
        let payload = batch.pointee.payload(index)
        guard payload.count >= offset + 8 else { return nil }
        return UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
