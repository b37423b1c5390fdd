// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import Testing

@testable import Symbolize

/// What a user of Symbolizer sees.
@Suite struct SymbolizerTests {
    private static func symbol(_ name: String, in path: String) throws -> UInt64 {
        let line = try run(["nm", path]).split(separator: "\n").first { $0.hasSuffix(" \(name)") }
        return try #require(line.flatMap { UInt64($0.split(separator: " ")[0], radix: 16) })
    }

    @Test func aPositionIndependentProgramIsFoundWhereItWasLoaded() throws {
        let scratch = try ScratchDirectory()
        let path = try Programs.build(.pie, in: scratch.url)
        let outer = try Self.symbol("outer", in: path)
        let slide: UInt64 = 0x5555_5555_4000
        let symbolizer = Symbolizer()
        try symbolizer.add(path, slide: Int64(slide))
        let found = try #require(symbolizer.symbolize(outer + slide + 4))
        #expect(found.symbol.map { ["outer", "other_name"].contains($0) } == true)
        #expect(found.offset == 4)
        #expect(found.frames.last?.function == "outer")
        #expect(symbolizer.symbolize(outer + 4) == nil)
        #expect(symbolizer.resolve(name: "outer").first?.lowerBound == outer + slide)
        #expect(symbolizer.modules.first?.slide == Int64(slide))
    }

    @Test func slidesMayBeNegativeAndWrap() throws {
        let scratch = try ScratchDirectory()
        let path = try Programs.build(.fixed, in: scratch.url)
        let outer = try Self.symbol("outer", in: path)
        let symbolizer = Symbolizer()
        try symbolizer.add(path, slide: -0x100000)
        #expect(symbolizer.symbolize(outer - 0x100000)?.frames.last?.function == "outer")
        let high = Symbolizer()
        try high.add(path, slide: Int64(bitPattern: 0xffff_ffff_8000_0000))
        #expect(high.symbolize(outer &+ 0xffff_ffff_8000_0000)?.frames.last?.function == "outer")
        #expect(high.symbolize(.max) == nil)
        #expect(high.symbolize(0) == nil)
    }

    @Test func namesResolveToAllTheirSymbols() throws {
        let scratch = try ScratchDirectory()
        let path = try Programs.build(.fixed, in: scratch.url)
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        let outer = try Self.symbol("outer", in: path)
        let whole = try #require(symbolizer.resolve(name: "outer").first)
        #expect(whole.lowerBound == outer)
        #expect(symbolizer.resolve(name: "outer+0x10") == [outer + 16..<whole.upperBound])
        #expect(symbolizer.resolve(name: "outer+16") == [outer + 16..<whole.upperBound])
        #expect(symbolizer.resolve(name: "outer+0x100000").isEmpty)
        #expect(symbolizer.resolve(name: "other_name") == [whole])
        #expect(Set(symbolizer.aliases(at: outer)) == ["outer", "other_name"])
        // Two static functions share the name.
        let same = symbolizer.resolve(name: "same")
        #expect(same.count == 2)
        #expect(same.allSatisfy { symbolizer.symbolize($0.lowerBound)?.symbol == "same" })
        #expect(symbolizer.resolve(name: "no_such_function").isEmpty)
        #expect(symbolizer.resolve(name: "").isEmpty)
        #expect(symbolizer.resolve(name: "+").isEmpty)
    }

    @Test func assemblyHasNamesAndLines() throws {
        let scratch = try ScratchDirectory()
        let path = try Programs.build(.fixed, in: scratch.url)
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        let sized = try Self.symbol("from_assembly", in: path)
        #expect(symbolizer.symbolize(sized)?.frames.first?.place?.hasSuffix("assembly.S:6") == true)
        #expect(symbolizer.symbolize(sized + 3)?.label == "from_assembly+0x3")
        // Its size is 4; what follows is padding, which belongs to no function.
        #expect(symbolizer.symbolize(sized + 4)?.symbol == nil)
        let bare = try Self.symbol("bare_label", in: path)
        #expect(symbolizer.symbolize(bare + 2)?.label == "bare_label+0x2")
        #expect(symbolizer.symbolize(bare + 4)?.label == "second_label")
        #expect(symbolizer.resolve(name: "bare_label") == [bare..<bare + 4])
    }

    @Test func splitOffPartsKeepBothNames() throws {
        let scratch = try ScratchDirectory()
        let path = try Programs.build(.fixed, in: scratch.url)
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        let cold = try Self.symbol("outer.cold", in: path)
        let found = try #require(symbolizer.symbolize(cold))
        #expect(found.symbol == "outer.cold")
        #expect(found.frames.last?.function == "outer")
    }

    @Test func inlineChainsAreReadFromTheInside() throws {
        let scratch = try ScratchDirectory()
        let path = try Programs.build(.fixed, in: scratch.url)
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        let outer = try #require(symbolizer.resolve(name: "outer").first)
        let deepest = try #require(
            outer.compactMap { symbolizer.symbolize($0) }.max { $0.frames.count < $1.frames.count })
        #expect(deepest.frames.map(\.function) == ["leaf", "middle", "outer"])
        #expect(deepest.frames.map(\.isInlined) == [true, true, false])
        // The second and third line are those of the calls that were inlined.
        let source = Programs.main.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(deepest.frames.allSatisfy { $0.file?.hasSuffix("main.c") == true })
        #expect(source[deepest.frames[1].line - 1].contains("leaf("))
        #expect(source[deepest.frames[2].line - 1].contains("middle("))
        #expect(deepest.label.hasPrefix("leaf"))
        #expect(deepest.label.contains(" @ middle"))
    }

    @Test func aFileWithoutDWARFStillNamesFunctions() throws {
        let scratch = try ScratchDirectory()
        let path = try Programs.build(.fixed, in: scratch.url, debug: false)
        let symbolizer = Symbolizer()
        let info = try symbolizer.add(path)
        #expect(info.warnings.map(\.kind) == [.noDWARF])
        let outer = try Self.symbol("outer", in: path)
        let found = try #require(symbolizer.symbolize(outer + 1))
        #expect(found.offset == 1)
        #expect(found.frames.isEmpty)
    }

    @Test func severalFilesAnswerForTheirRanges() throws {
        let scratch = try ScratchDirectory()
        let fixed = try Programs.build(.fixed, in: scratch.url)
        let library = try Programs.build(.withLibrary, in: scratch.url)
        let inFixed = try Self.symbol("outer", in: fixed)
        let inStatic = try Self.symbol("outer", in: library)
        // Both were linked to 0x401000: the first one wins, and the second says so.
        let symbolizer = Symbolizer()
        try symbolizer.add(fixed)
        #expect(symbolizer.overlaps.isEmpty)
        try symbolizer.add(library)
        #expect(symbolizer.overlaps.count == 1)
        #expect(
            symbolizer.overlaps.contains {
                if case .overlaps(fixed, _, _) = $0.kind { true } else { false }
            })
        #expect(symbolizer.symbolize(inFixed)?.module == fixed)
        // Restricted to ranges, each answers for its own.
        let restricted = Symbolizer()
        try restricted.add(fixed, range: inFixed..<inFixed + 16)
        try restricted.add(library, range: inStatic..<inStatic + 16)
        #expect(restricted.overlaps.isEmpty)
        #expect(restricted.symbolize(inFixed)?.module == fixed)
        #expect(restricted.symbolize(inStatic)?.module == library)
        #expect(restricted.symbolize(inStatic + 16) == nil)
        #expect(restricted.resolve(name: "outer").count == 2)
        #expect(restricted.resolve(name: "made_10").isEmpty)
    }

    // MARK: - Files that are of no use

    private func problem(_ path: String, machine: Machine = .x86_64) -> SymbolError.Kind? {
        do throws(SymbolError) {
            try Symbolizer().add(path, machine: machine)
            return nil
        } catch {
            #expect(error.description.hasPrefix(path))
            return error.kind
        }
    }

    @Test func uselessFilesAreRefusedByName() throws {
        let scratch = try ScratchDirectory()
        let program = try Programs.build(.fixed, in: scratch.url)
        #expect(problem("/no/such/file") == .cannotOpen(errno: ENOENT))
        #expect(problem(scratch.url.path) == .directory)
        #expect(problem("/dev/null") == .notRegular)
        #expect(problem(try scratch.write([], to: "empty")) == .notELF(firstBytes: []))
        #expect(
            problem(try scratch.write(Array("text\n".utf8), to: "text"))
                == .notELF(firstBytes: [0x74, 0x65, 0x78, 0x74]))
        #expect(problem(program, machine: .aarch64) == .wrongMachine(expected: .aarch64, found: .x86_64))
        var boot = [UInt8](repeating: 0, count: 4096)
        boot.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
        #expect(problem(try scratch.write(boot, to: "vmlinuz")) == .bootImage)
        let object = scratch.url.appendingPathComponent("second.o").path
        _ = try run(["gcc", "-c", "-o", object, scratch.url.appendingPathComponent("second.c").path])
        #expect(problem(object) == .notLinked(type: 1))
        let stripped = scratch.url.appendingPathComponent("stripped").path
        _ = try run(["strip", "-o", stripped, try Programs.build(.withLibrary, in: scratch.url, debug: false)])
        #expect(problem(stripped) == .noSymbols)
        let fifo = scratch.url.appendingPathComponent("fifo").path
        #expect(mkfifo(fifo, 0o600) == 0)
        #expect(problem(fifo) == .notRegular)
        let header = try Data(contentsOf: URL(fileURLWithPath: program)).prefix(20)
        if case .damagedELF = problem(try scratch.write(header, to: "short")) {} else { Issue.record("a cut header") }
    }

    @Test func argumentsNameFileSlideAndRange() throws {
        func parse(_ text: String) throws -> SymbolFile { try SymbolFile(argument: text) }
        #expect(try parse("vmlinux") == SymbolFile(path: "vmlinux"))
        #expect(try parse("init@0x1000") == SymbolFile(path: "init", placement: .address(0x1000)))
        #expect(try parse("init+0x1000") == SymbolFile(path: "init", slide: 0x1000))
        #expect(try parse("init+-4096") == SymbolFile(path: "init", slide: -4096))
        #expect(try parse("libstdc++") == SymbolFile(path: "libstdc++"))
        #expect(try parse("init@-4096") == SymbolFile(path: "init", slide: -4096))
        #expect(
            try parse("k+0xffffffff80000000") == SymbolFile(path: "k", slide: Int64(bitPattern: 0xffff_ffff_8000_0000)))
        #expect(try parse("p,0x400000:0x500000") == SymbolFile(path: "p", range: 0x400000..<0x500000))
        #expect(try parse("a@b@16,1:2") == SymbolFile(path: "a@b", placement: .address(16), range: 1..<2))
        for bad in ["f@", "f@x", "f,1", "f,2:1", "f,1:1", "f,1:2:3", "f@0x,1:2", "f@+1", "f,0x+1:3"] {
            #expect(throws: SymbolError.self) { try parse(bad) }
        }
        let scratch = try ScratchDirectory()
        let odd = try scratch.write([1], to: "odd@1,2")
        #expect(try parse(odd) == SymbolFile(path: odd))
    }
}
