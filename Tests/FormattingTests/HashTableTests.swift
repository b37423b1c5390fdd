// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Testing

/// The table that every room with rows by the million uses.
@Suite struct HashTableTests {
    private struct Slot: HashSlot {
        var key: UInt64
        /// 0 in a free slot.
        var count: UInt32

        static let free = Slot(key: 0, count: 0)
        var isFree: Bool { count == 0 }
        func holds(_ key: UInt64) -> Bool { self.key == key }
        func hash(_ seeds: HashSeeds) -> UInt64 { seeds.mix(key) }
        static func hash(_ key: UInt64, _ seeds: HashSeeds) -> UInt64 { seeds.mix(key) }
    }

    /// The same with one hash for all keys: the worst input.
    private struct Colliding: HashSlot {
        var key: UInt64

        static let free = Colliding(key: 0)
        var isFree: Bool { key == 0 }
        func holds(_ key: UInt64) -> Bool { self.key == key }
        func hash(_: HashSeeds) -> UInt64 { 7 }
        static func hash(_: UInt64, _: HashSeeds) -> UInt64 { 7 }
    }

    @Test func countsLikeADictionary() {
        var table = HashTable<Slot>(limit: 1 << 20, expected: 4)
        var model: [UInt64: UInt32] = [:]
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50_000 {
            let key = UInt64.random(in: 0..<5000, using: &random) << 40
            if let slot = table.find(key) { slot.pointee.count += 1 } else { table.insert(Slot(key: key, count: 1)) }
            model[key, default: 0] += 1
        }
        #expect(table.count == model.count)
        var found: [UInt64: UInt32] = [:]
        table.visit { found[$0.key] = $0.count }
        #expect(found == model)
        #expect(table.find(1) == nil)
    }

    @Test func aFullTableTakesNothingMore() {
        var table = HashTable<Slot>(limit: 100)
        let inserted = (0..<1000).map { table.insert(Slot(key: $0, count: 1)) }
        #expect(inserted.prefix(100).allSatisfy { $0 } && !inserted.dropFirst(100).contains(true))
        #expect(table.count == 100 && table.find(99) != nil && table.find(100) == nil)
        table.removeAll()
        #expect(table.count == 0 && table.find(99) == nil)
        #expect(table.insert(Slot(key: 100, count: 1)) && table.find(100) != nil)
    }

    @Test func collidingKeysAreApart() {
        var table = HashTable<Colliding>(limit: 1000, expected: 1)
        for key in 1...500 as ClosedRange<UInt64> { table.insert(Colliding(key: key)) }
        #expect((1...500).allSatisfy { table.find($0)?.pointee.key == $0 })
        #expect(table.find(501) == nil)
    }

    @Test func aCopyKeepsItsSlots() {
        var table = HashTable<Slot>(limit: 1000)
        table.insert(Slot(key: 1, count: 1))
        let copy = table
        table.insert(Slot(key: 2, count: 1))
        #expect(copy.count == 1 && copy.find(2) == nil && table.find(2) != nil && table.find(1) != nil)
        var cleared = table
        cleared.removeAll()
        #expect(cleared.count == 0 && table.find(2) != nil)
    }

    /// Two tables hold the same keys in different orders: the place of a key cannot be predicted from the code.
    @Test func seedsDifferFromTableToTable() {
        func order() -> [UInt64] {
            var table = HashTable<Slot>(limit: 1000)
            for key in 0..<200 as Range<UInt64> { table.insert(Slot(key: key, count: 1)) }
            var keys: [UInt64] = []
            table.visit { keys.append($0.key) }
            return keys
        }
        let (first, second) = (order(), order())
        #expect(first != second && first.sorted() == second.sorted())
    }

    /// Keys that differ in a few bits only, as addresses do, spread over the table: no chain is long.
    @Test(arguments: [1, 16, 4096, 1 << 21, 1 << 40, 1 << 52] as [UInt64])
    func regularKeysSpread(stride: UInt64) {
        let seeds = HashSeeds()
        var loads = [Int](repeating: 0, count: 4096)
        for index in 0..<4096 as Range<UInt64> { loads[Int(seeds.mix(index &* stride) & 4095)] += 1 }
        #expect((loads.max() ?? 0) < 64, "stride \(stride): \(loads.max() ?? 0) keys share a slot")
    }
}

/// The search in sorted lists.
@Suite struct SortedSearchTests {
    @Test func findsTheFirstIndexAtWhichThePredicateHolds() {
        for count in 0..<20 {
            let list = (0..<count).map { $0 * 2 }
            for value in -1...count * 2 + 1 {
                #expect(list.partitioningIndex { $0 >= value } == list.firstIndex { $0 >= value } ?? count)
            }
            let slice = list.dropFirst(3)
            #expect(slice.partitioningIndex { $0 >= 8 } == slice.firstIndex { $0 >= 8 } ?? slice.endIndex)
        }
    }
}
