// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the branches of one vCPU in order, chunk by chunk. Made by ``LogFile/branches(vcpu:from:to:)``.
///
/// Damaged and elided chunks are skipped and listed in ``skipped``.
public struct BranchCursor: ~Copyable {
    /// The chunks that could not be read so far.
    public private(set) var skipped: [Damage] = []

    private let chunks: [Chunk]
    private let from: UInt64
    private let to: UInt64
    private var nextChunk = 0
    private var reader = BranchChunkReader()
    /// The indexes of the batch's branches that were not returned yet.
    private var rest = 0..<0

    init(_ log: LogFile, vcpu: UInt16, from: UInt64, to: UInt64, columns: BranchBatch.Columns) {
        self.from = from
        self.to = to
        chunks = log.index.run(.branch, vcpu: vcpu, from: from, to: to)
        reader.begin(log, chunks[...], columns: columns, readsAhead: true)
    }

    /// The next branch; nil at the end.
    public mutating func next() -> Branch? {
        while rest.isEmpty {
            guard fill() else { return nil }
        }
        let index = rest.lowerBound
        rest = (index + 1)..<rest.upperBound
        return reader.batch.pointee[index]
    }

    /// Calls `body` with the next decoded columns and the range of indexes in them that belong to the cursor's range of
    /// clocks; never with an empty one. Returns false, without a call, at the end.
    public mutating func nextBatch(_ body: (borrowing BranchBatch, Range<Int>) throws -> Void) rethrows -> Bool {
        while rest.isEmpty {
            guard fill() else { return false }
        }
        let range = rest
        rest = 0..<0
        try body(reader.batch.pointee, range)
        return true
    }

    /// Decodes the next chunk. Returns false when there is none.
    private mutating func fill() -> Bool {
        guard nextChunk < chunks.count else { return false }
        let number = nextChunk
        nextChunk += 1
        do throws(LogError) {
            try reader.read(number)
            rest = reader.batch.pointee.range(from: from, to: to)
        } catch {
            rest = 0..<0
            skipped.append(error.damage(of: chunks[number]))
        }
        return true
    }
}

// MARK: - Making cursors
extension LogFile {
    /// The branches of a vCPU with clocks in `from ..< to`; no end when `to` is `.max`.
    ///
    /// Damaged and elided chunks are skipped and listed in ``BranchCursor/skipped``. If the guest was rewound, the
    /// clock steps back at the new epoch: the branches in the range are returned epoch after epoch.
    ///
    /// A long walk decodes chunks ahead on other processors.
    ///
    /// - Parameter columns: the columns of the batches that are decoded; others have any content.
    public func branches(
        vcpu: UInt16 = 0, from: UInt64 = 0, to: UInt64 = .max, columns: BranchBatch.Columns = .all
    ) -> BranchCursor {
        BranchCursor(self, vcpu: vcpu, from: from, to: to, columns: columns)
    }

    /// The events of some streams of a vCPU with clocks in `from ..< to` (no end when `to` is `.max`), merged by
    /// (epoch, clock, icount, stream, ordinal). For the meta stream, give ``noVCPU``.
    public func events(
        _ streams: [LogStream] = [.event], vcpu: UInt16 = 0, from: UInt64 = 0, to: UInt64 = .max
    ) -> EventCursor {
        EventCursor(self, streams, vcpu: vcpu, from: from, to: to)
    }
}
