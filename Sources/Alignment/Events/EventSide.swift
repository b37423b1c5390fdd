// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The part of an event stream that is compared.
struct EventRange: Sendable {
    /// The first clock, in the original's count.
    var start: UInt64
    /// In the log's own count.
    var end: RangeEnd
    /// Clocks of the original that both logs cover, sorted; nil for all.
    var covered: [Range<UInt64>]?
    /// The offsets of the log's counters from the original's, by epoch; empty for the original itself.
    var skews: [UInt32: [SkewFrom]]
    /// Clocks that are ignored, in the log's own count. Sorted.
    var ignored: [Range<UInt64>] = []
    /// Whether events at an address are ignored.
    var isIgnored: (@Sendable (UInt64) -> Bool)?

    /// An offset of the counters, from a clock of the log's own count on.
    struct SkewFrom: Sendable {
        var clock: UInt64
        var skew: Skew
    }

    /// The offset of the counters at a clock of the log's own count.
    func skew(_ epoch: UInt32, at own: UInt64) -> Skew {
        guard let pieces = skews[epoch] else { return .none }
        return (pieces.last { $0.clock <= own } ?? pieces.first)?.skew ?? .none
    }

    /// Whether a place is in the range. `clock` is in the original's count, `own` in the log's.
    func includes(clock: UInt64, own: UInt64, icount: UInt64?) -> Bool {
        guard clock >= start, end.includes(clock: own, icount: icount) else { return false }
        if !ignored.isEmpty {
            let index = ignored.partitioningIndex { $0.upperBound > own }
            if index < ignored.count, ignored[index].contains(own) { return false }
        }
        guard let covered else { return true }
        let index = covered.partitioningIndex { $0.upperBound > clock }
        return index < covered.count && covered[index].contains(clock)
    }
}

/// Reads one event stream of a log chunk by chunk, and skips records outside the range.
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
    /// Records up to this clock of the original are skipped: a log has a hole there.
    var holeEnd: UInt64?

    init(_ log: LogFile, _ chunks: ArraySlice<Chunk>, _ range: EventRange, _ projection: EventProjection) {
        self.log = log
        self.chunks = chunks
        self.range = range
        self.projection = projection
        index = chunks.startIndex
    }

    var isAtEnd: Bool { index >= chunks.endIndex }
    /// The chunk that contains the next record. Must not be read at the end.
    var chunk: Chunk { chunks[index] }
    var isAtChunkStart: Bool { !isAtEnd && place == 0 }
    /// The offset of the chunk's counters.
    var skew: Skew { range.skew(chunk.epoch, at: chunk.clockFirst) }
    /// The offset of the counters at the next record of the decoded chunk.
    var recordSkew: Skew { range.skew(chunk.epoch, at: batch.clock(place)) }

    /// The clocks, in this log's count, at which records are missing before the current chunk; nil if its ordinals show no
    /// hole.
    var missingBefore: Range<UInt64>? {
        guard place == 0, !isAtEnd else { return nil }
        let isFirst = index == chunks.startIndex
        let expected = isFirst ? 0 : chunks[index - 1].endOrdinal
        guard chunk.firstOrdinal != expected, chunk.clockFirst < .max else { return nil }
        let start = isFirst ? 0 : min(chunks[index - 1].clockLast, chunk.clockFirst)
        return start..<(chunk.clockFirst + 1)
    }

    /// Whether every record of the chunk is in the range.
    var isChunkWhole: Bool {
        guard holeEnd.map({ $0 < chunk.clockFirst }) ?? true else { return false }
        let last = chunk.icountLast == 0 ? nil : chunk.icountLast
        guard range.includes(clock: chunk.clockFirst, own: chunk.clockFirst, icount: last),
            range.includes(clock: chunk.clockLast, own: chunk.clockLast, icount: last)
        else { return false }
        let hasIgnored =
            range.isIgnored != nil || range.ignored.contains { $0.overlaps(chunk.clocks) }
        guard !hasIgnored, range.skew(chunk.epoch, at: chunk.clockLast) == skew else { return false }
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

    /// Moves to the next record of the decoded chunk that is in the range. Returns false if there is none.
    mutating func findInChunk() -> Bool {
        let epoch = chunk.epoch
        while place < batch.count {
            let own = batch.clock(place)
            let clock = BranchComparison.shift(own, by: range.skew(epoch, at: own).clock)
            let icount = batch.validity(place).contains(.icount) ? batch.icount(place) : nil
            let isInHole = holeEnd.map { clock <= $0 } ?? false
            if !isInHole, projection.includes(batch.kind(place)), !isAtIgnoredCode,
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

    /// Leaves a chunk whose records are all read: the side is at the beginning of the next one, as after a comparison of
    /// digests.
    mutating func leaveReadChunk() {
        if !isAtEnd, decodedIndex == index, !findInChunk() { skipChunk() }
    }

    /// Whether the current record is a state digest.
    var isAtState: Bool { batch.kind(place) == .state }

    /// The clock of the next record in the original's count.
    var clock: UInt64 { BranchComparison.shift(batch.clock(place), by: recordSkew.clock) }

    /// Whether the current record is at an address of ignored code.
    private var isAtIgnoredCode: Bool {
        guard let isIgnored = range.isIgnored, batch.validity(place).contains(.ip) else { return false }
        return isIgnored(batch.ip(place))
    }
}

extension Chunk {
    /// The clocks from its first to its last record. Its header may state any: at least one clock, none of them 2^64 - 1.
    var clocks: Range<UInt64> {
        let first = min(clockFirst, .max - 1)
        return first..<(max(first, min(clockLast, .max - 1)) + 1)
    }
}
