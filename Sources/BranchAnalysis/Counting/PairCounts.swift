// SPDX-License-Identifier: GPL-2.0-or-later

/// How often each pair of addresses came: the distinct branches of a run, or its distinct stretches.
///
///     var edges = PairCounts()
///     edges.add(first: batch.from, second: batch.to, tags: batch.label, count: batch.count)
///     for pair in edges.pairs() { print(pair.first, pair.second, pair.count) }
///
/// A table with open addressing. It never holds more than `limit` pairs: a pair that comes first when the table is full
/// is left out, each time it comes, and counted in ``leftOut``; so the counts of the pairs that are there are right
/// whatever a log holds. The hash has a key of its own in each table: no log can be made to collide.
public struct PairCounts: ~Copyable {
    /// A pair, and how often it came.
    public struct Pair: BitwiseCopyable, Hashable, Sendable {
        public var first: UInt64
        public var second: UInt64
        /// 0 in a free slot.
        public var count: UInt64
        /// What else tells pairs apart.
        public var tag: UInt8
    }

    /// Pairs in the table.
    public private(set) var pairCount = 0
    /// How often a pair came that the full table could not take.
    public private(set) var leftOut: UInt64 = 0
    /// The table takes no more pairs than this.
    public let limit: Int

    private var slots: UnsafeMutablePointer<Pair>
    private var mask: Int
    private let keys: (UInt64, UInt64)

    private static let free = Pair(first: 0, second: 0, count: 0, tag: 0)

    /// - Parameter limit: at most so many pairs; 64 bytes of memory each.
    public init(limit: Int = 1 << 22) {
        self.limit = max(1, limit)
        mask = (1 << 14) - 1
        slots = PairCounts.freeSlots(mask + 1)
        keys = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))
    }

    deinit { slots.deallocate() }

    /// Counts a pair.
    @inline(__always)
    public mutating func add(_ first: UInt64, _ second: UInt64, tag: UInt8 = 0) {
        if !PairCounts.count(first, second, tag, slots, mask, keys) { insert(first, second, tag) }
    }

    /// Counts pairs that stand in columns.
    public mutating func add(
        first: UnsafePointer<UInt64>, second: UnsafePointer<UInt64>, tags: UnsafePointer<UInt8>, count: Int
    ) {
        add(count) { (first[$0], second[$0], tags[$0]) }
    }

    /// Counts pairs without tags that stand in columns.
    public mutating func add(first: UnsafePointer<UInt64>, second: UnsafePointer<UInt64>, count: Int) {
        add(count) { (first[$0], second[$0], 0) }
    }

    @inline(__always)
    private mutating func add(_ count: Int, _ pair: (Int) -> (UInt64, UInt64, UInt8)) {
        // In locals: what is reached through `self` is loaded anew behind each store.
        var (slots, mask, keys) = (slots, mask, keys)
        for index in 0..<count {
            let (first, second, tag) = pair(index)
            if !PairCounts.count(first, second, tag, slots, mask, keys) {
                insert(first, second, tag)
                (slots, mask, keys) = (self.slots, self.mask, self.keys)
            }
        }
    }

    /// Counts a pair when it is in the table.
    @inline(__always)
    private static func count(
        _ first: UInt64, _ second: UInt64, _ tag: UInt8, _ slots: UnsafeMutablePointer<Pair>, _ mask: Int,
        _ keys: (UInt64, UInt64)
    ) -> Bool {
        var index = home(first, second, tag, mask, keys)
        while true {
            let slot = slots + index
            if slot.pointee.first == first, slot.pointee.second == second, slot.pointee.tag == tag {
                if slot.pointee.count == 0 { return false }
                slot.pointee.count &+= 1
                return true
            }
            if slot.pointee.count == 0 { return false }
            index = (index &+ 1) & mask
        }
    }

    @inline(__always)
    private static func home(
        _ first: UInt64, _ second: UInt64, _ tag: UInt8, _ mask: Int, _ keys: (UInt64, UInt64)
    ) -> Int {
        let product = (first ^ keys.0).multipliedFullWidth(by: second ^ keys.1 ^ UInt64(tag) &<< 56)
        return Int(truncatingIfNeeded: product.high ^ product.low) & mask
    }

    @inline(never)
    private mutating func insert(_ first: UInt64, _ second: UInt64, _ tag: UInt8) {
        guard pairCount < limit else {
            leftOut &+= 1
            return
        }
        pairCount += 1
        if pairCount * 2 > mask + 1 { grow() }
        put(Pair(first: first, second: second, count: 1, tag: tag))
    }

    private mutating func grow() {
        let (old, oldCount) = (slots, mask + 1)
        mask = oldCount * 2 - 1
        slots = PairCounts.freeSlots(mask + 1)
        for index in 0..<oldCount where old[index].count > 0 { put(old[index]) }
        old.deallocate()
    }

    private func put(_ pair: Pair) {
        var index = PairCounts.home(pair.first, pair.second, pair.tag, mask, keys)
        while slots[index].count > 0 { index = (index &+ 1) & mask }
        slots[index] = pair
    }

    private static func freeSlots(_ count: Int) -> UnsafeMutablePointer<Pair> {
        let slots = UnsafeMutablePointer<Pair>.allocate(capacity: count)
        slots.initialize(repeating: free, count: count)
        return slots
    }

    /// All pairs, by first, second and tag.
    public func pairs() -> [Pair] {
        var pairs: [Pair] = []
        pairs.reserveCapacity(pairCount)
        for index in 0...mask where slots[index].count > 0 { pairs.append(slots[index]) }
        pairs.sort { ($0.first, $0.second, $0.tag) < ($1.first, $1.second, $1.tag) }
        return pairs
    }
}
