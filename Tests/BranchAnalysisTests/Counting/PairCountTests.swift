// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import TestSupport
import Testing

@Suite struct PairCountTests {
    private struct Key: Hashable {
        var first: UInt64
        var second: UInt64
        var tag: UInt8
    }

    /// Some keys of all kinds, often the same ones.
    private func key(_ numbers: inout RandomNumbers, of count: UInt64) -> Key {
        let number = numbers.below(count)
        // Zeros and all ones among them.
        return Key(
            first: number % 7 == 0 ? 0 : number % 11 == 0 ? .max : 0xffff_ffff_8100_0000 + number * 5,
            second: number % 13 == 0 ? 0 : number << 40 | number, tag: UInt8(number % 3))
    }

    @Test(arguments: [1, 10, 5_000, 100_000] as [UInt64])
    func countsAreThoseOfADictionary(_ distinct: UInt64) {
        var numbers = RandomNumbers(seed: distinct)
        var expected: [Key: UInt64] = [:]
        var table = PairCounts()
        var columns = (first: [UInt64](), second: [UInt64](), tags: [UInt8]())
        for round in 0..<200_000 {
            let key = key(&numbers, of: distinct)
            expected[key, default: 0] += 1
            if round % 2 == 0 {
                table.add(key.first, key.second, tag: key.tag)
            } else {
                columns.first.append(key.first)
                columns.second.append(key.second)
                columns.tags.append(key.tag)
            }
        }
        table.add(
            first: columns.first, second: columns.second, tags: columns.tags, count: columns.first.count)
        let pairs = table.pairs()
        #expect(table.leftOut == 0 && table.pairCount == expected.count && pairs.count == expected.count)
        for pair in pairs {
            #expect(expected[Key(first: pair.first, second: pair.second, tag: pair.tag)] == pair.count)
        }
        let keys = pairs.map { ($0.first, $0.second, $0.tag) }
        #expect(zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 })
    }

    /// The pairs in a full table are counted to the end; other pairs are counted as left out.
    @Test(arguments: [1, 100, 8192, 20_000])
    func aFullTableLeavesOutAndSaysSo(_ limit: Int) {
        var numbers = RandomNumbers(seed: 3)
        var expected: [Key: UInt64] = [:]
        var table = PairCounts(limit: limit)
        var total: UInt64 = 0
        for _ in 0..<300_000 {
            let key = key(&numbers, of: 50_000)
            expected[key, default: 0] += 1
            table.add(key.first, key.second, tag: key.tag)
            total += 1
        }
        let pairs = table.pairs()
        #expect(pairs.count == limit && table.pairCount == limit)
        for pair in pairs {
            #expect(expected[Key(first: pair.first, second: pair.second, tag: pair.tag)] == pair.count)
        }
        #expect(table.leftOut > 0)
        #expect(pairs.reduce(0) { $0 + $1.count } + table.leftOut == total)
    }
}
