// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import Testing

@testable import Symbolize

/// Files of which only the units are read that are asked for.
@Suite struct OnDemandTests {
    private let scratch: ScratchDirectory
    private let cache: SymbolCache

    init() throws {
        scratch = try ScratchDirectory()
        cache = SymbolCache(directory: scratch.path("cache"))
    }

    /// Everything as it is asked, however small the file and however much is asked.
    private static let always = Symbolizer.Reading.onDemand(smallest: 0, largestPart: 1)

    /// A program of many units: each has functions that others inline, cold parts, padding between.
    private func build(_ options: [String] = [], name: String = "many") throws -> String {
        let header = """
            static inline __attribute__((always_inline)) int leaf(int x) { volatile int y = x; return y * 3 + 1; }
            """
        var sources: [String] = []
        for unit in 0..<24 {
            let path = scratch.path("unit\(unit).c")
            try """
            \(header)
            extern int unit\((unit + 1) % 24)(int x);
            static inline int twice\(unit)(int x) { return leaf(x) + leaf(x + \(unit)); }
            __attribute__((noinline)) static int same(int x) { return x > 3 ? twice\(unit)(x) : x; }
            __attribute__((cold, noinline)) void fail\(unit)(int x) { while (twice\(unit)(x)); }
            int unit\(unit)(int x) {
                if (__builtin_expect(x < -\(unit + 1), 0)) fail\(unit)(x);
                return x <= 0 ? same(x) : unit\((unit + 1) % 24)(x - 1) ^ twice\(unit)(x);
            }
            """.write(toFile: path, atomically: true, encoding: .utf8)
            sources.append(path)
        }
        let main = scratch.path("main.c")
        try "int unit0(int); int main(int c, char **v) { return unit0(c); }".write(
            toFile: main, atomically: true, encoding: .utf8)
        let assembly = scratch.path("bare.S")
        try Programs.assembly.write(toFile: assembly, atomically: true, encoding: .utf8)
        let output = scratch.path(name)
        _ = try run(["gcc", "-O2", "-g", "-o", output] + options + [main] + sources + [assembly])
        return output
    }

    private func answers(_ symbolizer: Symbolizer, _ addresses: [UInt64]) throws -> [Symbolized?] {
        let lookup = try symbolizer.lookup(for: addresses)
        return addresses.map { lookup.describe(lookup.find($0), module: symbolizer.modules[0].path) }
    }

    private static let variants: [[String]] = [
        [], ["-gdwarf-4"], ["-ffunction-sections"], ["-gz=zlib"], ["-flto"], ["-gsplit-dwarf"], ["-static"],
    ]

    /// What is said of an address is what the whole file says, whatever else was asked before.
    @Test(arguments: variants, [true, false])
    func theAnswersAreThoseOfTheWholeFile(_ options: [String], hasRanges: Bool) throws {
        let program = try build(options)
        if !hasRanges { _ = try run(["objcopy", "--remove-section=.debug_aranges", program]) }
        let whole = Symbolizer()
        let code = try whole.add(program).range
        var chance = HostileTests.Seeded(state: 11)
        let all = Array(code).shuffled(using: &chance).prefix(60_000)
        let symbolizer = Symbolizer(reading: Self.always)
        try symbolizer.add(program)
        var asked: [UInt64] = []
        var named = 0
        for (index, size) in [1, 1, 7, 40, 400, all.count].enumerated() {
            let addresses = Array(all.dropFirst(asked.count).prefix(size))
            let found = try answers(symbolizer, addresses)
            for (address, answer) in zip(addresses, found) {
                #expect(answer == whole.symbolize(address), "\(String(address, radix: 16)) in list \(index)")
                named += answer?.frames.isEmpty ?? true ? 0 : 1
            }
            asked += addresses
        }
        for address in asked.prefix(2000) { #expect(symbolizer.symbolize(address) == whole.symbolize(address)) }
        #expect(named > 300)
    }

    @Test func onlyTheUnitsAskedForAreRead() throws {
        let program = try build()
        let symbolizer = Symbolizer(reading: Self.always)
        #expect(try symbolizer.add(program).functionCount == 0)
        // Names need no units.
        let place = try #require(symbolizer.resolve(name: "unit7+2").first?.lowerBound)
        #expect(try answers(symbolizer, [place])[0]?.frames.last?.function == "unit7")
        let other = try #require(symbolizer.resolve(name: "unit8").first?.lowerBound)
        #expect(symbolizer.lookup.describe(symbolizer.lookup.find(other), module: "")?.frames.first?.file == nil)
        #expect(symbolizer.symbolize(other)?.frames.last?.function == "unit8")
        #expect(symbolizer.aliases(at: other) == ["unit8"])
        // What needs all of the file reads it.
        #expect(symbolizer.functionRanges(named: "unit9").isEmpty == false)
        let last = try #require(symbolizer.resolve(name: "unit9").first?.lowerBound)
        #expect(symbolizer.symbolize(last)?.frames.last?.function == "unit9")
    }

    /// A file's load address is found from its symbols; nothing else of it is read for that.
    @Test func slidesNeedNoUnits() throws {
        let program = try build()
        let (whole, asked) = (Symbolizer(), Symbolizer(reading: Self.always))
        try whole.add(program)
        try asked.add(program)
        let targets = try (0..<24).map { try #require(whole.resolve(name: "unit\($0)").first?.lowerBound) &+ 0x20_0000 }
        let found = try #require(asked.estimateSlide(module: 0, targets: targets.sorted()))
        #expect(found == whole.estimateSlide(module: 0, targets: targets.sorted()))
        #expect(found.slide == 0x20_0000)
        #expect(!asked.isWhole)
        asked.move(module: 0, slide: found.slide)
        whole.move(module: 0, slide: found.slide)
        #expect(asked.symbolize(targets[5] &+ 3) == whole.symbolize(targets[5] &+ 3))
        #expect(!asked.isWhole)
    }

    @Test func symbolsNeedNoUnits() throws {
        let program = try build()
        let (whole, asked) = (Symbolizer(), Symbolizer(reading: Self.always))
        let code = try whole.add(program).range
        try asked.add(program)
        let (all, symbols) = (whole.lookup, asked.symbolLookup)
        var named = 0
        for address in code {
            let (expected, found) = (all.symbol(all.find(address)), symbols.symbol(symbols.find(address)))
            #expect(found?.name == expected?.name && found?.offset == expected?.offset)
            named += found == nil ? 0 : 1
        }
        #expect(named > 1000)
        #expect(!asked.isWhole)
    }

    /// Question after question would read the same over and over.
    @Test func manyQuestionsReadAllOfIt() throws {
        let program = try build(["-ffunction-sections"])
        let (whole, asked) = (Symbolizer(), Symbolizer(reading: Self.always))
        let code = try whole.add(program).range
        try asked.add(program)
        for address in stride(from: code.lowerBound, to: code.upperBound, by: 5) {
            #expect(asked.symbolize(address) == whole.symbolize(address))
        }
        #expect(asked.isWhole)
    }

    private var keptFiles: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: cache.directory ?? ""))?.sorted() ?? []
    }

    private func modified(_ name: String) throws -> Date? {
        try FileManager.default.attributesOfItem(atPath: "\(cache.directory ?? "")/\(name)")[.creationDate] as? Date
    }

    /// What was read is kept and grows, until all is read.
    @Test func partsAreKept() throws {
        let program = try build()
        let reading = Symbolizer.Reading.onDemand(smallest: 0, largestPart: 0.2)
        let whole = Symbolizer()
        try whole.add(program)
        func ask(_ names: [String]) throws {
            let symbolizer = Symbolizer(cache: cache, reading: reading)
            try symbolizer.add(program)
            let addresses = try names.map { try #require(whole.resolve(name: $0).first?.lowerBound) }
            let found = try answers(symbolizer, addresses)
            #expect(found == addresses.map { whole.symbolize($0) })
            #expect(symbolizer.finish().isEmpty)
        }
        func content() throws -> Data {
            try Data(contentsOf: URL(fileURLWithPath: "\(cache.directory ?? "")/\(try #require(keptFiles.first))"))
        }
        try ask(["unit3"])
        #expect(keptFiles.count == 1)
        #expect(keptFiles.first?.hasSuffix(".part.ttsym") == true)
        let first = try content()
        try ask(["unit3"])
        #expect(try content() == first)
        try ask(["unit4"])
        let second = try content()
        #expect(second.count > first.count)
        try ask(["unit3", "unit4"])
        #expect(try content() == second)
        // More than a fifth.
        try ask((0..<12).map { "unit\($0)" })
        #expect(keptFiles.count == 1)
        #expect(keptFiles.first?.hasSuffix(".part.ttsym") == false)
        try ask(["unit20"])
        #expect(keptFiles.count == 1)
    }

    @Test func aDamagedPartIsMadeAnew() throws {
        let program = try build()
        func ask() throws -> Symbolized? {
            let symbolizer = Symbolizer(cache: cache, reading: Self.always)
            try symbolizer.add(program)
            let address = try #require(symbolizer.resolve(name: "unit5+1").first?.lowerBound)
            defer { _ = symbolizer.finish() }
            return try answers(symbolizer, [address])[0]
        }
        let fresh = try ask()
        #expect(fresh?.frames.last?.function == "unit5")
        let path = "\(cache.directory ?? "")/\(try #require(keptFiles.first))"
        let kept = try Data(contentsOf: URL(fileURLWithPath: path))
        for place in [0, 8, 24, 40, 600, kept.count - 100] {
            var bytes = kept
            bytes[place] ^= 0x10
            try bytes.write(to: URL(fileURLWithPath: path))
            #expect(try ask() == fresh)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == kept)
        }
        // A part in the place of a whole table is none.
        try kept.write(to: URL(fileURLWithPath: path.replacingOccurrences(of: ".part", with: "")))
        let symbolizer = Symbolizer(cache: cache)
        try symbolizer.add(program)
        let other = try #require(symbolizer.resolve(name: "unit6").first?.lowerBound)
        #expect(symbolizer.symbolize(other)?.frames.last?.function == "unit6")
    }

    /// `.debug_aranges` that lies costs names at most.
    @Test func wrongAddressTablesDoNoHarm() throws {
        let program = try build()
        let image = try ELFImage(path: program, machine: .x86_64)
        let section = try #require(image.section(named: ".debug_aranges"))
        let range = Int(section.header.sh_offset)..<Int(section.header.sh_offset + section.header.sh_size)
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: program)))
        var chance = HostileTests.Seeded(state: 5)
        var known = 0
        for round in 0..<400 {
            var copy = bytes
            for _ in 0..<(round % 8 + 1) {
                copy[Int.random(in: range, using: &chance)] =
                    [0, 0xff, 0x80, UInt8.random(in: 0...255, using: &chance)]
                    .randomElement(using: &chance) ?? 0
            }
            let path = try scratch.write(copy, to: "damaged")
            let symbolizer = Symbolizer(reading: Self.always)
            let code = try symbolizer.add(path).range
            let addresses = (0..<50).map { _ in UInt64.random(in: code, using: &chance) }
            let lookup = try symbolizer.lookup(for: addresses)
            known += addresses.filter { lookup.find($0).isKnown }.count
        }
        #expect(known > 10_000)
    }
}
