// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// A stretch of one vCPU's branches without a hole: chunks of one epoch with consecutive clocks.
struct BranchSegment: Sendable {
    var chunks: ArraySlice<Chunk>
    var epoch: UInt32
    /// The clocks of the branches.
    var clocks: Range<UInt64>
    /// Whether the segment begins an epoch, so that its counters may have another base. A segment after damage has not.
    var beginsAfterGap: Bool

    /// The index of the chunk that contains a clock of the segment.
    func chunkIndex(at clock: UInt64) -> Int {
        chunks.dropLast().partitioningIndex { $0.clockLast >= clock }
    }

    /// The segments of a vCPU's branch stream, in the log's order. Chunks with inconsistent headers belong to no
    /// segment.
    static func all(_ chunks: ArraySlice<Chunk>) -> [BranchSegment] {
        var segments: [BranchSegment] = []
        var start = chunks.startIndex
        var index = start
        func close(at end: Int) {
            guard start < end else { return }
            let (first, last) = (chunks[start], chunks[end - 1])
            let beginsEpoch = segments.last.map { $0.epoch != first.epoch } ?? (first.epoch > 0)
            segments.append(
                BranchSegment(
                    chunks: chunks[start..<end], epoch: first.epoch,
                    clocks: first.clockFirst..<(last.clockLast + 1), beginsAfterGap: beginsEpoch))
        }
        while index < chunks.endIndex {
            let chunk = chunks[index]
            let isSound =
                chunk.count > 0 && chunk.clockLast < .max && chunk.clockLast >= chunk.clockFirst
                && chunk.clockLast - chunk.clockFirst == UInt64(chunk.count - 1)
            let follows =
                index > start && chunk.epoch == chunks[index - 1].epoch
                && chunk.clockFirst == chunks[index - 1].clockLast + 1
            if !isSound || (index > start && !follows) {
                close(at: index)
                start = isSound ? index : index + 1
            }
            index += 1
        }
        close(at: chunks.endIndex)
        return segments
    }
}

/// Two segments that cover the same part of the run.
struct SegmentPair: Sendable {
    var original: BranchSegment
    var replay: BranchSegment

    /// Pairs the segments of two logs: those that share clocks, or, if a clock steps back, those of equal epochs.
    static func all(_ original: [BranchSegment], _ replay: [BranchSegment]) -> [SegmentPair] {
        guard isAscending(original), isAscending(replay) else {
            return original.flatMap { a in
                replay.filter { $0.epoch == a.epoch && $0.clocks.overlaps(a.clocks) }
                    .map { SegmentPair(original: a, replay: $0) }
            }
        }
        var pairs: [SegmentPair] = []
        var (i, j) = (0, 0)
        while i < original.count, j < replay.count {
            let (a, b) = (original[i], replay[j])
            // After a gap in both logs, the clocks can differ by a constant. ContentSearch finds it.
            let isSameEpoch = a.epoch == b.epoch && a.beginsAfterGap && b.beginsAfterGap
            if a.clocks.overlaps(b.clocks) || isSameEpoch { pairs.append(SegmentPair(original: a, replay: b)) }
            if isSameEpoch {
                (i, j) = (i + 1, j + 1)
            } else if a.clocks.upperBound < b.clocks.upperBound {
                i += 1
            } else {
                j += 1
            }
        }
        return pairs
    }

    /// The offset of the replay's clock if one log has a gap before this pair in which only its counter moved, and the
    /// other has none; nil for other pairs.
    ///
    /// - Parameter last: the offset in the pair before.
    func skew(after before: SegmentPair, _ last: UInt64) -> UInt64? {
        let isSame = (before.original.clocks == original.clocks, before.replay.clocks == replay.clocks)
        switch isSame {
        case (true, false): return last &+ replay.clocks.lowerBound &- before.replay.clocks.upperBound
        case (false, true): return last &- (original.clocks.lowerBound &- before.original.clocks.upperBound)
        default: return nil
        }
    }

    private static func isAscending(_ segments: [BranchSegment]) -> Bool {
        zip(segments, segments.dropFirst()).allSatisfy { $0.clocks.upperBound <= $1.clocks.lowerBound }
    }
}

/// The offset of the replay's counters in a stretch: replay minus original, modulo 2^64.
struct Skew: Sendable, Hashable {
    var clock: UInt64 = 0
    var icount: UInt64 = 0

    static let none = Skew()
}
