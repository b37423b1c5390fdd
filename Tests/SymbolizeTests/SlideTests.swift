// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import Symbolize

/// Finding out where a kernel was loaded.
@Suite struct SlideTests {
    @Test(arguments: [0, 0x1c00_0000, -0x20_0000] as [Int64])
    func callTargetsTellTheSlide(_ slide: Int64) throws {
        let scratch = try ScratchDirectory()
        let path = try Programs.build(.fixed, in: scratch.url)
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        let shift = UInt64(bitPattern: slide)
        let table = try #require(symbolizer.table(0))
        let starts = (0..<table.view.symbols.count).map { table.view.symbols[$0].address }
        var calls = starts.map { (from: UInt64(0), to: $0 &+ shift) }
        // Calls within another program, and one into the middle of a function.
        for index in 0..<200 { calls.append((from: 0, to: 0x7fff_0000_0000 + UInt64(index) * 4096)) }
        calls.append((from: 0, to: starts[0] &+ shift &+ 1))
        let found = try #require(symbolizer.estimateSlide(module: 0, calls: calls))
        #expect(found.slide == slide)
        #expect(found.isReliable)
        #expect(found.entries == Set(starts).count)
        #expect(found.targets == Set(starts).count + (Set(starts).contains(starts[0] + 1) ? 0 : 1))

        symbolizer.move(module: 0, slide: found.slide)
        let outer = try #require(symbolizer.resolve(name: "outer").first)
        #expect(symbolizer.symbolize(outer.lowerBound)?.frames.last?.function == "outer")
        #expect(symbolizer.modules[0].slide == slide)
    }

    @Test func targetsOfAnotherProgramAreNotReliable() throws {
        let scratch = try ScratchDirectory()
        let symbolizer = Symbolizer()
        try symbolizer.add(try Programs.build(.fixed, in: scratch.url))
        var generator = HostileTests.Seeded(state: 7)
        let calls = (0..<2000).map { _ in (from: UInt64(0), to: UInt64.random(in: 0..<1 << 30, using: &generator)) }
        if let found = symbolizer.estimateSlide(module: 0, calls: calls) { #expect(!found.isReliable) }
        #expect(symbolizer.estimateSlide(module: 0, calls: []) == nil)
        #expect(symbolizer.estimateSlide(module: 1, calls: calls) == nil)
    }
}
