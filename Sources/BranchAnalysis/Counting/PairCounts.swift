// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// How often each pair of addresses occurs: the distinct branches of a run, or its distinct stretches.
///
///     var edges = PairCounts()
///     edges.add(first: batch.from, second: batch.to, tags: batch.label, count: batch.count)
///     for pair in edges.pairs() { print(pair.first, pair.second, pair.count) }
///
/// Memory is bounded: when the table is full, new pairs are left out and counted in ``leftOut``. The counts of the pairs in
/// the table are right whatever a log holds.
public struct PairCounts: ~Copyable {
    /// A pair and how often it occurs.
    public struct Pair: BitwiseCopyable, Hashable, Sendable {
        /// The first address.
        public var first: UInt64
        /// The second address.
        public var second: UInt64
        /// How often the pair occurs; 0 in a free slot.
        public var count: UInt64
        /// Distinguishes pairs of the same addresses.
        public var tag: UInt8
    }

    /// The number of distinct pairs in the table.
    public var pairCount: Int { table.count }
    /// How many pairs, counted each time, were left out because the table was full.
    public private(set) var leftOut: UInt64 = 0
    /// The most pairs that the table holds.
    public var limit: Int { table.limit }

    private var table: HashTable<Pair>

    /// Makes an empty table.
    ///
    /// - Parameter limit: The most pairs; each takes 64 bytes of memory or more.
    public init(limit: Int = 1 << 22) {
        table = HashTable(limit: limit, expected: 1 << 13)
    }

    /// Counts a pair.
    @inline(__always)
    public mutating func add(_ first: UInt64, _ second: UInt64, tag: UInt8 = 0) {
        let key = Pair.Key(first: first, second: second, tag: tag)
        if let slot = table.find(key) { slot.pointee.count &+= 1 } else { insert(key) }
    }

    /// Counts a pair that occurs several times.
    public mutating func add(_ first: UInt64, _ second: UInt64, count: UInt64) {
        guard count > 0 else { return }
        let pair = Pair(first: first, second: second, count: count, tag: 0)
        if let slot = table.find(Pair.Key(first: first, second: second, tag: 0)) {
            slot.pointee.count &+= count
        } else if !table.insert(pair) {
            leftOut &+= count
        }
    }

    /// Counts the pairs of columns.
    public mutating func add(
        first: UnsafePointer<UInt64>, second: UnsafePointer<UInt64>, tags: UnsafePointer<UInt8>, count: Int
    ) {
        add(count) { Pair.Key(first: first[$0], second: second[$0], tag: tags[$0]) }
    }

    /// Counts the pairs of columns that have no tags.
    public mutating func add(first: UnsafePointer<UInt64>, second: UnsafePointer<UInt64>, count: Int) {
        add(count) { Pair.Key(first: first[$0], second: second[$0], tag: 0) }
    }

    @inline(__always)
    private mutating func add(_ count: Int, _ pair: (Int) -> Pair.Key) {
        // A local copy stays in registers; what is reached through `self` is loaded again after each store.
        var probe = table.probe
        for index in 0..<count {
            let key = pair(index)
            if let slot = probe.find(key) {
                slot.pointee.count &+= 1
            } else {
                insert(key)
                probe = table.probe
            }
        }
    }

    @inline(never)
    private mutating func insert(_ key: Pair.Key) {
        if !table.insert(Pair(first: key.first, second: key.second, count: 1, tag: key.tag)) { leftOut &+= 1 }
    }

    /// All pairs, ordered by first, second and tag.
    public func pairs() -> [Pair] {
        var pairs: [Pair] = []
        pairs.reserveCapacity(pairCount)
        table.visit { pairs.append($0) }
        pairs.sort { ($0.first, $0.second, $0.tag) < ($1.first, $1.second, $1.tag) }
        return pairs
    }
}

extension PairCounts.Pair: HashSlot {
    /// The key by which pairs are distinguished.
    public struct Key: BitwiseCopyable {
        var first: UInt64
        var second: UInt64
        var tag: UInt8
    }

    /// A slot without a pair: a pair occurs at least once.
    public static let free = Self(first: 0, second: 0, count: 0, tag: 0)
    /// Whether the slot has no pair.
    public var isFree: Bool { count == 0 }

    /// Whether this is the pair of a key.
    public func holds(_ key: Key) -> Bool { first == key.first && second == key.second && tag == key.tag }

    /// The hash of the pair's key.
    public func hash(_ seeds: HashSeeds) -> UInt64 {
        Self.hash(Key(first: first, second: second, tag: tag), seeds)
    }

    /// The hash of a key. The seeds keep a hostile log from choosing colliding addresses.
    public static func hash(_ key: Key, _ seeds: HashSeeds) -> UInt64 {
        seeds.mix(key.first, key.second ^ UInt64(key.tag) &<< 56)
    }
}
