// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import MachineCode
import Testing

@testable import Symbolize

/// A piece of a symbol file answers as the whole file does.
@Suite struct PieceTests {
    /// The piece of a program that touches the functions at some addresses, written beside it, and its addresses.
    private func piece(of program: String, touching names: [String]) throws -> (path: String, piece: SymbolPiece) {
        let symbolizer = Symbolizer()
        try symbolizer.add(program)
        // One byte in the middle of each function.
        let touched = names.flatMap(symbolizer.resolve).map { range in
            let middle = range.lowerBound + (range.upperBound - range.lowerBound) / 2
            return middle..<middle + 1
        }
        try #require(touched.count >= names.count - 2)
        let piece = try #require(try symbolizer.piece(module: 0, touching: touched))
        var code = CodeMap()
        try code.add(program)
        let path = program + ".piece"
        try Data(piece.elf { code.bytes(at: $0, count: $1) }).write(to: URL(fileURLWithPath: path))
        return (path, piece)
    }

    private static let functions = ["made_11", "made_30", "outer", "second", "from_assembly", "bare_label", "main"]

    @Test(arguments: Programs.Variant.allCases)
    func answersAsTheWholeFileDoes(_ variant: Programs.Variant) throws {
        let scratch = try ScratchDirectory()
        let program = try Programs.build(variant, in: scratch.url)
        let (path, piece) = try piece(of: program, touching: PieceTests.functions)
        let (whole, part) = (Symbolizer(), Symbolizer())
        try whole.add(program, slide: 0x1000)
        #expect(try part.add(path, slide: 0x1000).warnings.isEmpty)
        var count = 0
        for range in piece.ranges {
            for address in range {
                var expected = whole.symbolize(address + 0x1000)
                expected?.module = path
                let found = part.symbolize(address + 0x1000)
                try #require(found == expected, "\(String(address, radix: 16))")
                if found?.frames.first?.isInlined == true { count += 1 }
            }
            #expect(part.aliases(at: range.lowerBound + 0x1000) == whole.aliases(at: range.lowerBound + 0x1000))
        }
        // Inline chains take part, but where nothing is inlined.
        #expect(count > 0 || variant == .unoptimised)
        #expect(piece.sourceFiles.contains { $0.hasSuffix("/main.c") })
        let image = try ELFImage(path: path, machine: .x86_64)
        #expect(image.buildID == (try ELFImage(path: program, machine: .x86_64).buildID))
        #expect(image.text.reduce(0) { $0 + $1.upperBound - $1.lowerBound } < 8192)
    }

    @Test func hasTheCode() throws {
        let scratch = try ScratchDirectory()
        let program = try Programs.build(.fixed, in: scratch.url)
        let (path, piece) = try piece(of: program, touching: PieceTests.functions)
        var (whole, part) = (CodeMap(), CodeMap())
        try whole.add(program)
        try part.add(path)
        #expect(part.ranges == piece.ranges)
        for range in piece.ranges {
            let count = Int(range.upperBound - range.lowerBound)
            let bytes = part.bytes(at: range.lowerBound, count: count)
            #expect(bytes.count == count)
            #expect(bytes == whole.bytes(at: range.lowerBound, count: count))
        }
    }

    /// Places that change themselves come back where they were.
    @Test func hasPatchSites() throws {
        let scratch = try ScratchDirectory()
        let program = try Programs.build(.fixed, in: scratch.url)
        let symbolizer = Symbolizer()
        try symbolizer.add(program)
        let start = try #require(symbolizer.resolve(name: "outer").first?.lowerBound)
        let piece = try #require(try symbolizer.piece(module: 0, touching: [start..<start + 1]))
        let sites = [start + 2..<start + 7, start + 9..<start + 11]
        // Sites outside of the piece, and the part of one that is.
        let all = [0x1000..<0x1004, piece.ranges[0].lowerBound - 2..<piece.ranges[0].lowerBound + 1] + sites
        var code = CodeMap()
        try code.add(program)
        let path = program + ".piece"
        try Data(piece.elf(sites: all) { code.bytes(at: $0, count: $1) }).write(to: URL(fileURLWithPath: path))
        var part = CodeMap()
        try part.add(path)
        try part.findPatchSites(Disassembler())
        #expect(part.patchSites == [piece.ranges[0].lowerBound..<piece.ranges[0].lowerBound + 1] + sites)
    }

    /// elfutils and binutils find the same chains of source lines in a piece as in the whole file.
    @Test(arguments: ["eu-addr2line", "addr2line"])
    func otherToolsReadIt(_ tool: String) throws {
        let scratch = try ScratchDirectory()
        let program = try Programs.build(.fixed, in: scratch.url)
        let (path, _) = try piece(of: program, touching: PieceTests.functions)
        let symbolizer = Symbolizer()
        try symbolizer.add(program)
        let addresses = PieceTests.functions.dropLast(2).flatMap(symbolizer.resolve).flatMap { range in
            stride(from: range.lowerBound, to: range.upperBound, by: 3).map { "0x" + String($0, radix: 16) }
        }
        let expected = try PieceTests.chains(run([tool, "-a", "-i", "-e", program] + addresses))
        let found = try PieceTests.chains(run([tool, "-a", "-i", "-e", path] + addresses))
        #expect(found.count == addresses.count)
        for (address, chain) in expected {
            // elfutils leaves a level out, of the whole file or of the piece, where copies are adjacent.
            let isWhole = tool == "addr2line"
            #expect(found[address]?.first == chain.first && (found[address] == chain || !isWhole), "\(address)")
        }
        let notes = try run(["readelf", "-W", "--all", path])
        #expect(!notes.contains("Warning"), "\(notes)")
    }

    /// The chains of places by their addresses, without the columns and discriminators that a piece leaves out.
    private static func chains(_ output: String) -> [String: [String]] {
        var chains: [String: [String]] = [:]
        var address = ""
        for line in output.split(separator: "\n") {
            if line.hasPrefix("0x") {
                address = String(line)
                chains[address] = []
                continue
            }
            let parts = line.split(separator: " (").first?.split(separator: ":").prefix(2) ?? []
            chains[address]?.append(parts.joined(separator: ":"))
        }
        return chains
    }

    /// A module that knows none of the addresses has no piece.
    @Test func nothingIsTouched() throws {
        let scratch = try ScratchDirectory()
        let symbolizer = Symbolizer()
        try symbolizer.add(try Programs.build(.fixed, in: scratch.url))
        #expect(try symbolizer.piece(module: 0, touching: [0..<16]) == nil)
        #expect(try symbolizer.piece(module: 0, touching: []) == nil)
        #expect(try symbolizer.piece(module: 7, touching: [0..<16]) == nil)
    }
}
