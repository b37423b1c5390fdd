// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Formatting

/// The branches of one chunk, decoded into columns. Memory is used again by the next decode.
public struct BranchBatch: ~Copyable {
    /// Branches in the batch.
    public internal(set) var count = 0
    /// The clock of the first branch; each next branch adds 1.
    public internal(set) var clockFirst: UInt64 = 0
    /// The epoch they belong to.
    public internal(set) var epoch: UInt32 = 0

    /// Columns that a decode fills.
    public struct Columns: OptionSet, Sendable {
        /// The bits.
        public var rawValue: UInt8

        /// The set of those bits.
        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// ``BranchBatch/to``. Alone it takes less time than together with `from`.
        public static let to = Columns(rawValue: 1 << 0)
        /// ``BranchBatch/label``.
        public static let label = Columns(rawValue: 1 << 1)
        /// ``BranchBatch/icount``.
        public static let icount = Columns(rawValue: 1 << 2)
        /// ``BranchBatch/from``. A log has it as a distance from the `to` before, so both are computed.
        public static let from = Columns(rawValue: 1 << 3)
        /// ``BranchBatch/from`` and ``BranchBatch/to``.
        public static let path: Columns = [.from, .to]
        /// All columns.
        public static let all: Columns = [.path, .label, .icount]
    }

    var reader = BodyReader()
    private var words: UnsafeMutablePointer<UInt64>
    private var labels: UnsafeMutablePointer<UInt8>
    /// The number of records that each column has room for.
    private var capacity: Int

    /// Makes an empty batch.
    public init() {
        capacity = 8
        words = .allocate(capacity: 3 * (capacity + 8))
        labels = .allocate(capacity: capacity + 8)
    }

    deinit {
        words.deallocate()
        labels.deallocate()
    }

    /// Addresses of the instructions left, `count` of them, valid until the next decode.
    public var from: UnsafePointer<UInt64> { UnsafePointer(words) }
    /// Addresses of the instructions that began next.
    public var to: UnsafePointer<UInt64> { UnsafePointer(words + (capacity + 8)) }
    /// Instruction counts; all 0 in a log without them.
    public var icount: UnsafePointer<UInt64> { UnsafePointer(words + 2 * (capacity + 8)) }
    /// Labels (``BranchLabel/rawValue``).
    public var label: UnsafePointer<UInt8> { UnsafePointer(labels) }

    /// The branch with that index in the batch; one of zeros outside it.
    public subscript(index: Int) -> Branch {
        guard index >= 0, index < count else {
            return Branch(clock: 0, from: 0, to: 0, icount: 0, label: BranchLabel(rawValue: 0))
        }
        return Branch(
            clock: clockFirst &+ UInt64(index), from: from[index], to: to[index], icount: icount[index],
            label: BranchLabel(rawValue: label[index]))
    }

    /// The indexes of the branches with clocks in `from ..< to` (no end when `to` is `.max`). Clocks that would pass 2^64
    /// are left out.
    public func range(from: UInt64, to: UInt64) -> Range<Int> {
        let present = min(UInt64(truncatingIfNeeded: count), UInt64.max &- clockFirst)
        let low = from > clockFirst ? min(from - clockFirst, present) : 0
        let high = to == .max ? present : (to > clockFirst ? min(to - clockFirst, present) : 0)
        return low < high ? Int(low)..<Int(high) : 0..<0
    }

    /// Writes the clocks of the branches with those indexes, which the caller takes from ``range(from:to:)``.
    ///
    /// - Parameter place: room for as many numbers as there are indexes.
    public func writeClocks(of indexes: Range<Int>, to place: UnsafeMutablePointer<UInt64>) {
        ttlog_write_clocks(place, clockFirst &+ UInt64(truncatingIfNeeded: indexes.lowerBound), indexes.count)
    }

    /// Makes room for `count` branches; the contents are undefined.
    mutating func room(for count: Int) -> BranchDecoder.Output {
        if count > capacity {
            words.deallocate()
            labels.deallocate()
            capacity = (count + 7) & ~7
            words = .allocate(capacity: 3 * (capacity + 8))
            labels = .allocate(capacity: capacity + 8)
        }
        return BranchDecoder.Output(
            from: words, to: words + (capacity + 8), icount: words + 2 * (capacity + 8), label: labels)
    }
}
