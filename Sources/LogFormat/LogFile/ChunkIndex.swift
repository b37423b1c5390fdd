// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Formatting

/// The chunks of a log in reading order, and the records that are missing between them according to the headers.
struct ChunkIndex {
    /// Sorted by (vcpu, stream, epoch, cell, part).
    private(set) var chunks: [Chunk]
    /// A run of chunks of one stream and vCPU.
    struct Run {
        var range: Range<Int>
        /// Whether clocks never step back from chunk to chunk, so that a clock can be searched for by halves.
        var isAscending: Bool
    }
    private(set) var runs: [RunKey: Run] = [:]
    private(set) var damage: [Damage] = []

    struct RunKey: Hashable {
        var stream: LogStream
        var vcpu: UInt16
    }

    /// Sorts the chunks, removes duplicates, and looks for gaps. `prefersSlot` receives a slot of the open file and the
    /// chunk in the log that it repeats, and returns whether to keep the slot.
    init(_ found: [Chunk], file: String, prefersSlot: (Chunk, Chunk) -> Bool) {
        chunks = []
        for chunk in found.sorted(by: Chunk.precedes) {
            guard let last = chunks.last, last.key == chunk.key, chunk.stream != .meta || chunk.isOpenSlot else {
                chunks.append(chunk)
                continue
            }
            if chunk.isOpenSlot {
                if prefersSlot(chunk, last) { chunks[chunks.count - 1] = chunk }
            } else {
                if chunk.digests != last.digests || chunk.count != last.count || !(chunk.isElided || last.isElided) {
                    damage.append(
                        Damage(
                            file: file, offset: chunk.offset, length: chunk.extent,
                            what: .duplicate(other: last.offset)))
                }
                if last.isElided, !chunk.isElided { chunks[chunks.count - 1] = chunk }
            }
        }
        var start = 0
        while start < chunks.count {
            let first = chunks[start]
            var end = start + 1
            var isAscending = true
            chainSlot(start, after: nil)
            while end < chunks.count, chunks[end].stream == first.stream, chunks[end].vcpu == first.vcpu {
                let previous = chunks[end - 1]
                isAscending =
                    isAscending && previous.clockLast <= chunks[end].clockFirst
                    && previous.clockFirst <= previous.clockLast
                checkStep(from: previous, to: chunks[end], file: file)
                chainSlot(end, after: previous)
                end += 1
            }
            if first.stream.isCompared, first.firstOrdinal != 0 { missing(before: first, expected: 0, file: file) }
            runs[RunKey(stream: first.stream, vcpu: first.vcpu)] = Run(range: start..<end, isAscending: isAscending)
            start = end
        }
    }

    /// Gives a chunk from the open file the chain value that it would have been sealed with.
    private mutating func chainSlot(_ place: Int, after previous: Chunk?) {
        let chunk = chunks[place]
        guard chunk.isOpenSlot else { return }
        let chain = previous?.epoch == chunk.epoch ? previous?.chain : nil
        chunks[place].chain = chunk.expectedChain(after: chain ?? 0)
    }

    private mutating func checkStep(from previous: Chunk, to chunk: Chunk, file: String) {
        guard chunk.stream.isCompared else { return }
        if chunk.firstOrdinal != previous.endOrdinal {
            missing(before: chunk, expected: previous.endOrdinal, file: file)
        } else if chunk.stream == .branch, chunk.epoch == previous.epoch, chunk.clockFirst != previous.clockLast &+ 1 {
            damage.append(
                Damage(
                    file: file, offset: chunk.offset, length: 0,
                    what: .clock(expected: previous.clockLast &+ 1, found: chunk.clockFirst)))
        }
    }

    private mutating func missing(before chunk: Chunk, expected: UInt64, file: String) {
        let lost = chunk.firstOrdinal > expected ? chunk.firstOrdinal - expected : 0
        damage.append(
            Damage(
                file: file, offset: chunk.offset, length: 0,
                what: .ordinal(expected: expected, found: chunk.firstOrdinal), lostRecords: lost))
    }

    /// The chunks of a stream and vCPU.
    func run(_ stream: LogStream, vcpu: UInt16) -> ArraySlice<Chunk> {
        guard let run = runs[RunKey(stream: stream, vcpu: vcpu)] else { return chunks[0..<0] }
        return chunks[run.range]
    }

    /// The chunks of a stream and vCPU that may hold records with clocks in `from ..< to` (no end with `to` = `.max`).
    func run(_ stream: LogStream, vcpu: UInt16, from: UInt64, to: UInt64) -> [Chunk] {
        guard from < to || to == .max, let run = runs[RunKey(stream: stream, vcpu: vcpu)] else { return [] }
        if !run.isAscending {
            return chunks[run.range].filter { ($0.clockFirst < to || to == .max) && $0.clockLast >= from }
        }
        let first = run.range.partitioningIndex { chunks[$0].clockLast >= from }
        let rest = first..<run.range.upperBound
        let end = to == .max ? run.range.upperBound : rest.partitioningIndex { chunks[$0].clockFirst >= to }
        return Array(chunks[first..<end])
    }
}
