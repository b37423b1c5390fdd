// SPDX-License-Identifier: GPL-2.0-or-later

/// A slot of a ``HashTable``: a key and its values, in a fixed number of bytes.
///
///     struct Place: HashSlot {
///         var address: UInt64
///         var count: UInt64  // 0 in a free slot
///         static let free = Place(address: 0, count: 0)
///         var isFree: Bool { count == 0 }
///         func holds(_ key: UInt64) -> Bool { address == key }
///         func hash(_ seeds: HashSeeds) -> UInt64 { seeds.mix(address) }
///         static func hash(_ key: UInt64, _ seeds: HashSeeds) -> UInt64 { seeds.mix(key) }
///     }
///
/// Both `hash` functions give the same value for the same key. Mark all of them `@inlinable` if the table is used in
/// another module.
public protocol HashSlot: BitwiseCopyable {
    /// The key of a lookup. The slot need not store it: a key may carry what ``holds(_:)`` needs for the comparison.
    associatedtype Key

    /// The value of a slot that holds nothing.
    static var free: Self { get }
    /// Whether the slot holds nothing.
    var isFree: Bool { get }
    /// Whether a slot that is not free has this key.
    func holds(_ key: Key) -> Bool
    /// The hash of the slot's own key; it is not called on a free slot.
    func hash(_ seeds: HashSeeds) -> UInt64
    /// The hash of a key.
    static func hash(_ key: Key, _ seeds: HashSeeds) -> UInt64
}

/// Two random words that key the hashes of one table: input from strangers cannot be made to collide.
public struct HashSeeds: BitwiseCopyable, Sendable {
    @usableFromInline let first: UInt64
    @usableFromInline let second: UInt64

    /// Draws new seeds.
    public init() {
        first = .random(in: .min ... .max)
        second = .random(in: .min ... .max) | 1
    }

    /// The hash of a word.
    @inlinable @inline(__always)
    public func mix(_ word: UInt64) -> UInt64 {
        let product = (word ^ first).multipliedFullWidth(by: second)
        return product.high ^ product.low
    }

    /// The hash of a pair of words.
    @inlinable @inline(__always)
    public func mix(_ word: UInt64, _ other: UInt64) -> UInt64 {
        let product = (word ^ first).multipliedFullWidth(by: other ^ second)
        return product.high ^ product.low
    }
}

/// A table with open addressing for rows that come by the million: a bounded number of slots of fixed size.
///
///     var places = HashTable<Place>(limit: 1 << 20)
///     if let slot = places.find(address) { slot.pointee.count += 1 } else { places.insert(Place(address, count: 1)) }
///
/// For all other uses take the standard library's `Dictionary`. Slots cannot be removed one by one; ``removeAll()`` empties
/// the table.
///
/// Invariants: the number of slots is a power of two; at most half of them are taken; a slot with key *k* is reached from
/// `hash(k)` modulo the number of slots, one slot after the other, before the first free slot.
///
/// A copy shares its slots with the original until one of the two inserts.
public struct HashTable<Slot: HashSlot>: @unchecked Sendable {
    /// The address of the slots, the mask and the seeds, which a loop keeps in registers. Valid until the table changes.
    public struct Probe: BitwiseCopyable {
        @usableFromInline var slots: UnsafeMutablePointer<Slot>
        @usableFromInline var mask: Int
        @usableFromInline var seeds: HashSeeds

        @inlinable @inline(__always)
        init(slots: UnsafeMutablePointer<Slot>, mask: Int, seeds: HashSeeds) {
            self.slots = slots
            self.mask = mask
            self.seeds = seeds
        }

        /// The slot that has a key; `nil` if there is none.
        @inlinable @inline(__always)
        public func find(_ key: Slot.Key) -> UnsafeMutablePointer<Slot>? {
            var index = Int(truncatingIfNeeded: Slot.hash(key, seeds)) & mask
            while true {
                let slot = slots + index
                if slot.pointee.isFree { return nil }
                if slot.pointee.holds(key) { return slot }
                index = (index &+ 1) & mask
            }
        }

        /// Stores a slot whose key is not there.
        @inlinable
        func put(_ slot: Slot) {
            var index = Int(truncatingIfNeeded: slot.hash(seeds)) & mask
            while !slots[index].isFree { index = (index &+ 1) & mask }
            slots[index] = slot
        }
    }

    /// Owns the slots.
    @usableFromInline
    final class Memory {
        @usableFromInline let slots: UnsafeMutablePointer<Slot>

        @usableFromInline
        init(count: Int) {
            slots = .allocate(capacity: count)
            slots.initialize(repeating: .free, count: count)
        }

        deinit { slots.deallocate() }
    }

    /// The number of slots that are taken.
    @inlinable public var count: Int { taken }
    /// The largest number of slots that can be taken.
    public let limit: Int
    /// For a loop that looks up many keys.
    @inlinable public var probe: Probe { place }

    @usableFromInline var taken = 0
    @usableFromInline var place: Probe
    @usableFromInline var memory: Memory

    /// Makes an empty table.
    ///
    /// - Parameters:
    ///   - limit: The largest number of slots that can be taken, at least 1. Memory: up to `4 * limit` slots.
    ///   - expected: The number of slots that fit before the table grows for the first time.
    @inlinable
    public init(limit: Int, expected: Int = 1 << 10) {
        self.limit = max(1, min(limit, Int.max / 8))
        var slotCount = 16
        while slotCount < min(max(expected, 1), self.limit) &* 2 { slotCount *= 2 }
        memory = Memory(count: slotCount)
        place = Probe(slots: memory.slots, mask: slotCount - 1, seeds: HashSeeds())
    }

    /// The slot that has a key; `nil` if there is none.
    ///
    /// The caller may change the slot's values, but not its key, if there is no copy of the table. The pointer is valid
    /// until the table changes.
    @inlinable @inline(__always)
    public func find(_ key: Slot.Key) -> UnsafeMutablePointer<Slot>? { place.find(key) }

    /// Adds a slot whose key is not in the table.
    ///
    /// Not inlined: it is rare, and its code would make the loops around ``find(_:)`` larger.
    ///
    /// - Returns: `false` if the table is full; the table is then unchanged.
    @discardableResult @inlinable @inline(never)
    public mutating func insert(_ slot: Slot) -> Bool {
        guard taken < limit else { return false }
        let slotCount = place.mask + 1
        if (taken + 1) * 2 > slotCount {
            move(to: slotCount * 2)
        } else if !isKnownUniquelyReferenced(&memory) {
            move(to: slotCount)
        }
        place.put(slot)
        taken += 1
        return true
    }

    /// Empties the table and keeps its memory.
    @inlinable
    public mutating func removeAll() {
        if isKnownUniquelyReferenced(&memory) {
            memory.slots.update(repeating: .free, count: place.mask + 1)
        } else {
            memory = Memory(count: place.mask + 1)
            place.slots = memory.slots
        }
        taken = 0
    }

    /// Calls a closure with each slot that is taken, in no particular order.
    @inlinable
    public func visit(_ body: (Slot) -> Void) {
        for index in 0...place.mask where !place.slots[index].isFree { body(place.slots[index]) }
        withExtendedLifetime(memory) {}
    }

    @inlinable
    mutating func move(to slotCount: Int) {
        let larger = Memory(count: slotCount)
        let moved = Probe(slots: larger.slots, mask: slotCount - 1, seeds: place.seeds)
        visit { moved.put($0) }
        (memory, place) = (larger, moved)
    }
}
