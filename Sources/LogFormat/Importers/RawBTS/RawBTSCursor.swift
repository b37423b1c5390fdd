// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the branches of a raw file in order. Made by ``RawBTSFile/branches(from:to:)``.
///
/// In the extended form the clock follows the counters of the file. Where a counter repeats the one before, the clock
/// adds 1: XenTT gives all records of one buffer the same counter.
public struct RawBTSCursor: ~Copyable {
    /// The damage so far, without the incomplete record at the end of a file (``RawBTSFile/damage``).
    public private(set) var skipped: [Damage] = []

    private let raw: RawBTSFile
    private let from: UInt64
    private let to: UInt64
    private let label: ((UInt64, UInt64) -> BranchLabel)?
    private var batch = BranchBatch()
    private var buffer = ReusedBuffer()
    /// The file's third words of the block.
    private var counters: UnsafeMutablePointer<UInt64>
    /// The records of the block that are not returned yet.
    private var rest = 0..<0
    /// The record that is read next, as a branch's number in the file.
    private var next: UInt64 = 0
    private let end: UInt64
    /// The clock and the file's counter of the previous record.
    private var previous: (clock: UInt64, counter: UInt64)?

    /// Records read at once, at most.
    private static let blockLimit = 1 << 16
    /// Records read at once.
    private let blockCount: Int

    init(_ raw: RawBTSFile, from: UInt64, to: UInt64, label: ((UInt64, UInt64) -> BranchLabel)?) {
        self.raw = raw
        self.from = from
        self.to = to
        self.label = label
        let isPlain = raw.form == .plain
        next = isPlain ? min(from, raw.count) : 0
        end = isPlain ? min(to, raw.count) : raw.count
        blockCount = next < end ? Int(min(UInt64(RawBTSCursor.blockLimit), end - next)) : 1
        counters = .allocate(capacity: blockCount)
        let columns = batch.room(for: blockCount)
        columns.icount.update(repeating: 0, count: blockCount)
        columns.label.update(repeating: BranchLabel(.unknown).rawValue, count: blockCount)
    }

    deinit { counters.deallocate() }

    /// Calls `body` with columns and the range of indexes in them that belong to the cursor's range of clocks; never with an
    /// empty one. Returns false, without a call, at the end.
    public mutating func nextBatch(_ body: (borrowing BranchBatch, Range<Int>) throws -> Void) rethrows -> Bool {
        while true {
            while rest.isEmpty {
                guard fill() else { return false }
            }
            let wanted = takeRun()
            guard !wanted.isEmpty else { continue }
            try body(batch, wanted)
            return true
        }
    }

    /// Takes the next records with consecutive clocks and gives the batch their clocks. Returns the indexes of those in
    /// the cursor's range.
    private mutating func takeRun() -> Range<Int> {
        let first = rest.lowerBound
        guard raw.form == .extended else {
            rest = rest.upperBound..<rest.upperBound
            return first..<batch.count
        }
        let counter = counters[first]
        var clock = counter
        if let previous, counter == previous.counter, previous.clock != .max { clock = previous.clock &+ 1 }
        var last = counter
        var index = first &+ 1
        let start = clock
        while index < rest.upperBound {
            let counter = counters[index]
            guard counter == clock &+ 1 || counter == last, clock != .max else { break }
            clock &+= 1
            last = counter
            index &+= 1
        }
        previous = (clock, last)
        rest = index..<rest.upperBound
        // For a run in the middle of a block, the clock of index 0 may be below 0: the sums wrap around.
        batch.clockFirst = start &- UInt64(first)
        batch.count = index
        let count = UInt64(index &- first)
        let low = from > start ? min(from - start, count) : 0
        let high = to == .max ? count : (to > start ? min(to - start, count) : 0)
        return low < high ? first &+ Int(low)..<first &+ Int(high) : first..<first
    }

    /// Reads the next block. Returns false when there is none.
    private mutating func fill() -> Bool {
        guard next < end else { return false }
        let first = next
        let count = Int(min(UInt64(blockCount), end - next))
        let size = RawBTSFile.recordSize
        let room = buffer.room(for: count * size)
        let offset = raw.firstOffset &+ next &* UInt64(size)
        let present: Int
        do throws(LogError) {
            present = try raw.file.read(room, at: offset) / size
        } catch {
            return lose(end - first, at: offset, error.damageKind)
        }
        next = first &+ UInt64(count)
        if present < count {
            let lost = end - first - UInt64(present)
            _ = lose(
                lost, at: offset &+ UInt64(present * size),
                .truncated(structure: .record, expected: lost &* UInt64(size), present: 0))
        }
        let columns = batch.room(for: blockCount)
        for index in 0..<present {
            let record = index &* size
            columns.from[index] = room.loadUnaligned(fromByteOffset: record, as: UInt64.self)
            columns.to[index] = room.loadUnaligned(fromByteOffset: record &+ 8, as: UInt64.self)
            counters[index] = room.loadUnaligned(fromByteOffset: record &+ 16, as: UInt64.self)
        }
        if let label {
            for index in 0..<present { columns.label[index] = label(columns.from[index], columns.to[index]).rawValue }
        }
        batch.count = present
        batch.clockFirst = first
        rest = 0..<present
        return true
    }

    /// Records that the rest of the file cannot be read.
    private mutating func lose(_ records: UInt64, at offset: UInt64, _ what: DamageKind) -> Bool {
        skipped.append(
            Damage(
                file: raw.path, offset: offset, length: records &* UInt64(RawBTSFile.recordSize), what: what,
                lostRecords: records))
        next = end
        rest = 0..<0
        return false
    }
}
