// SPDX-License-Identifier: GPL-2.0-or-later

/// The events, accesses or meta records of one chunk, decoded. Memory is used again by the next decode.
///
/// Indexes run from 0 to `count`; an accessor called with another index answers with zeros.
public struct EventBatch: ~Copyable {
    /// Records in the batch.
    public internal(set) var count = 0
    /// The stream of the decoded chunk.
    public internal(set) var stream = LogStream.event
    /// The vCPU of the decoded chunk.
    public internal(set) var vcpu: UInt16 = 0
    /// The epoch they belong to.
    public internal(set) var epoch: UInt32 = 0
    /// The ordinal of the first record in its stream and vCPU.
    public internal(set) var firstOrdinal: UInt64 = 0

    var reader = BodyReader()
    private var records: UnsafeMutablePointer<EventRecord>
    private var capacity = 64
    /// The payload columns, in the reader's memory.
    private var payloads = UnsafeRawBufferPointer(start: nil, count: 0)
    private var privates = UnsafeRawBufferPointer(start: nil, count: 0)

    /// Makes an empty batch.
    public init() {
        records = .allocate(capacity: capacity)
    }

    deinit {
        records.deallocate()
    }

    private static let none = EventRecord(
        clock: 0, icount: 0, ip: 0, aux: 0, ticket: 0, tsc: 0, info: 0, kind: 0, validity: 0, payloadOffset: 0,
        privateOffset: 0, payloadLength: 0, privateLength: 0)

    private func record(_ index: Int) -> EventRecord {
        index >= 0 && index < count ? records[index] : EventBatch.none
    }

    /// A record's kind; see ``Event/kind``.
    public func kind(_ index: Int) -> EventKind { EventKind(rawValue: record(index).kind) }
    /// A record's validity bits; see ``Event/validity``.
    public func validity(_ index: Int) -> EventValidity { EventValidity(rawValue: record(index).validity) }
    /// A record's info word; see ``Event/info``.
    public func info(_ index: Int) -> UInt32 { record(index).info }
    /// A record's clock; see ``Event/clock``.
    public func clock(_ index: Int) -> UInt64 { record(index).clock }
    /// A record's instruction count; see ``Event/icount``.
    public func icount(_ index: Int) -> UInt64 { record(index).icount }
    /// A record's instruction address; see ``Event/ip``.
    public func ip(_ index: Int) -> UInt64 { record(index).ip }
    /// A record's auxiliary word; see ``Event/aux``.
    public func aux(_ index: Int) -> UInt64 { record(index).aux }
    /// A record's order ticket; see ``Event/ticket``.
    public func ticket(_ index: Int) -> UInt64 { record(index).ticket }
    /// A record's time stamp counter; see ``Event/tsc``.
    public func tsc(_ index: Int) -> UInt64 { record(index).tsc }

    /// The compared payload, valid until the next decode.
    public func payload(_ index: Int) -> UnsafeRawBufferPointer {
        let record = record(index)
        return slice(payloads, Int(record.payloadOffset), Int(record.payloadLength))
    }

    /// The payload that is never compared, valid until the next decode.
    public func privatePayload(_ index: Int) -> UnsafeRawBufferPointer {
        let record = record(index)
        return slice(privates, Int(record.privateOffset), Int(record.privateLength))
    }

    /// The record with that index, owning its payload.
    public subscript(index: Int) -> Event {
        let record = record(index)
        return Event(
            stream: stream, vcpu: vcpu, kind: EventKind(rawValue: record.kind),
            validity: EventValidity(rawValue: record.validity), info: record.info, clock: record.clock,
            icount: record.icount, ip: record.ip, aux: record.aux, ticket: record.ticket, tsc: record.tsc,
            payload: Array(payload(index)), privatePayload: Array(privatePayload(index)),
            ordinal: firstOrdinal &+ UInt64(truncatingIfNeeded: index))
    }

    private func slice(_ column: UnsafeRawBufferPointer, _ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
        guard length > 0, offset <= column.count - length else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: column[offset..<(offset + length)])
    }

    /// Decodes the raw body of a chunk. The batch points into the body, which must live as long as the batch is used.
    mutating func decode(_ body: UnsafeRawBufferPointer, of chunk: Chunk) throws(MalformedBody) {
        count = 0
        var decoder = try EventDecoder(body: body, chunk: chunk)
        if chunk.count > capacity {
            records.deallocate()
            capacity = chunk.count
            records = .allocate(capacity: capacity)
        }
        for index in 0..<chunk.count { records[index] = try decoder.next() }
        try decoder.finish()
        payloads = decoder.payloadBytes
        privates = decoder.privateBytes
        stream = chunk.stream
        vcpu = chunk.vcpu
        epoch = chunk.epoch
        firstOrdinal = chunk.firstOrdinal
        count = chunk.count
    }
}
