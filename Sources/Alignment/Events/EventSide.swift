// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// What of an event stream takes part in a comparison.
struct EventRange: Sendable {
    /// The first clock, in the original's count.
    var start: UInt64
    /// In the log's own count.
    var end: RangeEnd
    /// Clocks of the original that both logs cover; nil: all. Sorted.
    var covered: [Range<UInt64>]?
    /// By what the log's counters are off the original's, by epoch; none for the original itself.
    var skews: [UInt32: Skew]

    func skew(_ epoch: UInt32) -> Skew { skews[epoch] ?? .none }

    /// Whether a place takes part. `clock` is in the original's count, `own` in the log's.
    func includes(clock: UInt64, own: UInt64, icount: UInt64?) -> Bool {
        guard clock >= start, end.includes(clock: own, icount: icount) else { return false }
        guard let covered else { return true }
        let index = covered.partitioningIndex { $0.upperBound > clock }
        return index < covered.count && covered[index].contains(clock)
    }
}

/// Reads one event stream of a log, chunk by chunk, passing over what takes no part.
struct EventSide: ~Copyable {
    let log: LogFile
    let range: EventRange
    private let projection: EventProjection
    private let chunks: ArraySlice<Chunk>
    private(set) var index: Int
    private(set) var batch = EventBatch()
    /// Place of the next record in the chunk at `index`.
    private(set) var place = 0
    private var decodedIndex: Int?
    /// Chunks that were decoded so far.
    private(set) var decodedCount: UInt64 = 0
    /// Records up to this clock of the original are passed over: a log has a hole there.
    var holeEnd: UInt64?

    init(_ log: LogFile, _ chunks: ArraySlice<Chunk>, _ range: EventRange, _ projection: EventProjection) {
        self.log = log
        self.chunks = chunks
        self.range = range
        self.projection = projection
        index = chunks.startIndex
    }

    var isAtEnd: Bool { index >= chunks.endIndex }
    /// The chunk that the next record is in; not to be asked for at the end.
    var chunk: Chunk { chunks[index] }
    var isAtChunkStart: Bool { !isAtEnd && place == 0 }
    /// By what the counters of the chunk are off.
    var skew: Skew { range.skew(chunk.epoch) }

    /// The clocks at which records are missing before the chunk at `index`, when the ordinals say so; in this log's
    /// count.
    var missingBefore: Range<UInt64>? {
        guard place == 0, !isAtEnd else { return nil }
        let isFirst = index == chunks.startIndex
        let expected = isFirst ? 0 : chunks[index - 1].endOrdinal
        guard chunk.firstOrdinal != expected, chunk.clockFirst < .max else { return nil }
        let start = isFirst ? 0 : min(chunks[index - 1].clockLast, chunk.clockFirst)
        return start..<(chunk.clockFirst + 1)
    }

    /// Whether every record of the chunk takes part.
    var isChunkWhole: Bool {
        guard holeEnd.map({ $0 < chunk.clockFirst }) ?? true else { return false }
        let last = chunk.icountLast == 0 ? nil : chunk.icountLast
        guard range.includes(clock: chunk.clockFirst, own: chunk.clockFirst, icount: last),
            range.includes(clock: chunk.clockLast, own: chunk.clockLast, icount: last)
        else { return false }
        guard let covered = range.covered else { return true }
        return covered.contains { $0.contains(chunk.clockFirst) && $0.contains(chunk.clockLast) }
    }

    mutating func skipChunk() {
        index += 1
        place = 0
    }

    /// Decodes the chunk at `index`.
    mutating func decode() throws(LogError) {
        guard decodedIndex != index else { return }
        decodedIndex = nil
        try log.decode(chunk, into: &batch)
        decodedIndex = index
        decodedCount += 1
    }

    /// Moves to the next record of the decoded chunk that takes part. Returns false when there is none in it.
    mutating func findInChunk() -> Bool {
        let skew = skew
        while place < batch.count {
            let own = batch.clock(place)
            let clock = BranchComparison.shift(own, by: skew.clock)
            let icount = batch.validity(place).contains(.icount) ? batch.icount(place) : nil
            let isInHole = holeEnd.map { clock <= $0 } ?? false
            if !isInHole, projection.includes(batch.kind(place)),
                range.includes(clock: clock, own: own, icount: icount)
            {
                holeEnd = nil
                return true
            }
            place += 1
        }
        return false
    }

    mutating func advance() { place += 1 }

    /// The clock of the next record in the original's count.
    var clock: UInt64 { BranchComparison.shift(batch.clock(place), by: skew.clock) }
}
