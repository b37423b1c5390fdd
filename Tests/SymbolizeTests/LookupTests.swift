// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import Symbolize

/// The ways of asking `SymbolLookup`, and the index under them.
@Suite struct LookupTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// One at a time, in batches, in sorted batches: one answer.
    private func expectOneAnswer(_ lookup: SymbolLookup, _ addresses: [UInt64], known atLeast: Int) {
        let single = addresses.map { lookup.find($0) }
        #expect(single.count { $0.isKnown } >= atLeast)
        #expect(lookup.find(addresses) == single)
        let order = addresses.sorted()
        let sorted = [SymbolHit](unsafeUninitializedCapacity: order.count) { hits, count in
            order.withUnsafeBufferPointer { lookup.find(sorted: $0, into: hits) }
            count = order.count
        }
        #expect(sorted == order.map { lookup.find($0) })
        // Chains: each hit's frames, in the order of the hits.
        var chains: [FrameHit] = []
        for hit in single { lookup.forEachFrame(hit) { chains.append($0) } }
        var indices: [Int] = []
        var frames: [FrameHit] = []
        single.withUnsafeBufferPointer { hits in
            lookup.forEachFrame(hits) { index, frame in
                indices.append(index)
                frames.append(frame)
                #expect(frame.isInlined || hits[index].isKnown)
            }
        }
        #expect(frames == chains)
        #expect(indices == indices.sorted())
    }

    @Test func allWaysOfAskingGiveOneAnswer() throws {
        let symbolizer = Symbolizer()
        let fixed = try symbolizer.add(try Programs.build(.fixed, in: scratch.url))
        let code = fixed.range
        let addresses = (0..<9000).map { _ in UInt64.random(in: code.lowerBound - 100..<code.upperBound + 100) }
        expectOneAnswer(symbolizer.lookup, addresses, known: 4000)
        expectOneAnswer(symbolizer.lookup, Array(code), known: 2000)
        expectOneAnswer(symbolizer.lookup, [], known: 0)
        expectOneAnswer(symbolizer.lookup, [0, .max, code.lowerBound], known: 0)
    }

    /// A second file below the first one, pieces of it given away, a third one that knows what both do not.
    @Test func filesThatOverlapGiveOneAnswer() throws {
        let symbolizer = Symbolizer()
        let path = try Programs.build(.fixed, in: scratch.url)
        let code = try Symbolizer().add(path).range
        let middle = code.lowerBound + (code.upperBound - code.lowerBound) / 2
        try symbolizer.add(path, range: code.lowerBound + 50..<middle)
        try symbolizer.add(try Programs.build(.dwarf4, in: scratch.url), slide: -0x101)
        let map = "0000000000400000 T everything\n0000000000500000 T end\n"
        try symbolizer.add(try scratch.write(map.utf8, to: "System.map"))
        let addresses = (0..<9000).map { _ in UInt64.random(in: code.lowerBound - 400..<code.upperBound + 400) }
        expectOneAnswer(symbolizer.lookup, addresses, known: 8000)
        let hits = symbolizer.lookup.find(Array(code))
        #expect(Set(hits.filter(\.isKnown).map(\.module)) == [0, 1, 2])
        // The range that was given holds to the byte.
        #expect(zip(code, hits).allSatisfy { $1.module != 0 || (code.lowerBound + 50..<middle).contains($0) })
    }

    /// From one end of the address space to the other.
    @Test func symbolsAtBothEndsAreFound() throws {
        let map = "0000000000001000 T low\n0000000000001010 T next\nfffffffffffffff0 T high\nffffffffffffffff T last\n"
        let symbolizer = Symbolizer()
        try symbolizer.add(try scratch.write(map.utf8, to: "System.map"))
        #expect(symbolizer.symbolize(0x100f)?.label == "low+0xf")
        #expect(symbolizer.symbolize(1 << 63)?.symbol == "next")
        #expect(symbolizer.symbolize(.max - 15)?.label == "high")
        #expect(symbolizer.symbolize(.max - 1)?.label == "high+0xe")
        #expect(symbolizer.symbolize(0xfff) == nil)
        let view = try #require(symbolizer.table(0)).view
        #expect(view.regions.count == 2 && view.blocks.count < 10)
    }

    /// Symbols that lie far apart, in clusters: the index must not grow with the address space.
    @Test(arguments: [0x40, 0x1234, 0x10_0000, 0x1_0000_0000] as [UInt64])
    func symbolsThatLieFarApartAreFound(_ distance: UInt64) throws {
        var map = ""
        var expected: [(address: UInt64, symbol: String)] = []
        for cluster in 0..<300 as Range<UInt64> {
            for index in 0..<20 as Range<UInt64> {
                let address = 0x10_0000 + cluster * distance * 40 + index * 37
                let digits = String(address, radix: 16)
                map += "\(String(repeating: "0", count: 16 - digits.count))\(digits) T f_\(cluster)_\(index)\n"
                expected.append((address, "f_\(cluster)_\(index)"))
            }
        }
        let symbolizer = Symbolizer()
        let path = try scratch.write(map.utf8, to: "System.map")
        try symbolizer.add(path)
        for (index, item) in expected.enumerated() {
            #expect(symbolizer.symbolize(item.address)?.label == item.symbol)
            // Up to the next one, without a size of its own.
            if index + 1 < expected.count {
                #expect(symbolizer.symbolize(expected[index + 1].address - 1)?.symbol == item.symbol)
                #expect(symbolizer.resolve(name: item.symbol) == [item.address..<expected[index + 1].address])
            }
        }
        #expect(symbolizer.symbolize(expected[0].address - 1) == nil)
        let view = try #require(symbolizer.table(0)).view
        #expect(view.blocks.count <= view.segments.count * 5 + 1 << 16)
        expectOneAnswer(symbolizer.lookup, expected.map(\.address) + expected.map { $0.address + 36 }, known: 6000)
    }
}
