// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the records of one or more event streams of one vCPU in order. Made by ``LogFile/events(_:vcpu:from:to:)``.
///
/// Damaged chunks are skipped and listed in ``skipped``.
public struct EventCursor: ~Copyable {
    private var event: StreamCursor
    private var access: StreamCursor
    private var meta: StreamCursor

    init(_ log: LogFile, _ streams: [LogStream], vcpu: UInt16, from: UInt64, to: UInt64) {
        func chunks(_ stream: LogStream) -> [Chunk] {
            streams.contains(stream) ? log.index.run(stream, vcpu: vcpu, from: from, to: to) : []
        }
        event = StreamCursor(log, chunks(.event), from: from, to: to)
        access = StreamCursor(log, chunks(.access), from: from, to: to)
        meta = StreamCursor(log, chunks(.meta), from: from, to: to)
    }

    /// The chunks that could not be read so far.
    public var skipped: [Damage] { event.skipped + access.skipped + meta.skipped }

    /// The next record; nil at the end.
    public mutating func next() -> Event? {
        var stream = LogStream.event
        var earliest = event.head()
        if let key = access.head(), earliest.map(key.precedes) ?? true { (stream, earliest) = (.access, key) }
        if let key = meta.head(), earliest.map(key.precedes) ?? true { stream = .meta }
        return switch stream {
        case .access: access.take()
        case .meta: meta.take()
        default: event.take()
        }
    }
}

/// Reads the records of one event stream of one vCPU.
struct StreamCursor: ~Copyable {
    /// The key by which records of several streams are merged.
    struct Key {
        var epoch: UInt32
        var clock: UInt64
        /// nil when the record has none.
        var icount: UInt64?
        /// The record's place in the order of all vCPUs' records.
        var ticket: UInt64

        /// Whether a record of a later stream comes before one of an earlier stream.
        func precedes(_ other: Key) -> Bool {
            if epoch != other.epoch { return epoch < other.epoch }
            if clock != other.clock { return clock < other.clock }
            guard let icount, let otherIcount = other.icount else { return false }
            // An instruction's access comes before the interrupt that follows the instruction.
            return icount != otherIcount ? icount < otherIcount : ticket < other.ticket
        }
    }

    private(set) var skipped: [Damage] = []
    private let log: LogFile
    private let chunks: [Chunk]
    private let from: UInt64
    private let to: UInt64
    private var nextChunk = 0
    private var batch = EventBatch()
    private var place = 0

    init(_ log: LogFile, _ chunks: [Chunk], from: UInt64, to: UInt64) {
        self.log = log
        self.chunks = chunks
        self.from = from
        self.to = to
    }

    /// The key of the next record in the range; nil at the end.
    mutating func head() -> Key? {
        while true {
            while place < batch.count {
                let clock = batch.clock(place)
                if clock >= from, clock < to || to == .max {
                    return Key(
                        epoch: batch.epoch, clock: clock,
                        icount: batch.validity(place).contains(.icount) ? batch.icount(place) : nil,
                        ticket: batch.ticket(place))
                }
                place += 1
            }
            guard nextChunk < chunks.count else { return nil }
            let chunk = chunks[nextChunk]
            nextChunk += 1
            place = 0
            do throws(LogError) {
                try log.decode(chunk, into: &batch)
            } catch {
                skipped.append(error.damage(of: chunk))
            }
        }
    }

    /// The next record; nil at the end.
    mutating func take() -> Event? {
        guard head() != nil else { return nil }
        defer { place += 1 }
        return batch[place]
    }
}
