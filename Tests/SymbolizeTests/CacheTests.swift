// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import Testing

@testable import Symbolize

/// Tables that are kept between runs.
@Suite struct CacheTests {
    private let scratch: ScratchDirectory
    private let program: String
    private let cache: SymbolCache

    init() throws {
        scratch = try ScratchDirectory()
        program = try Programs.build(.pie, in: scratch.url)
        cache = SymbolCache(directory: scratch.path("deep/cache"))
    }

    private var keptFiles: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: cache.directory ?? ""))?.sorted() ?? []
    }

    /// All answers for the program's code.
    private func answers(_ cache: SymbolCache, _ path: String? = nil) throws -> [Symbolized?] {
        let symbolizer = Symbolizer(cache: cache)
        let info = try symbolizer.add(path ?? program)
        #expect(info.warnings.isEmpty)
        return info.range.map { symbolizer.symbolize($0) }
    }

    @Test func aKeptTableGivesTheSameAnswers() throws {
        let fresh = try answers(.off)
        #expect(fresh.compactMap { $0 }.count > 1000)
        #expect(try answers(cache) == fresh)
        #expect(keptFiles.count == 1)
        let name = try #require(keptFiles.first)
        let identity = try ELFImage(path: program, machine: .x86_64).buildID
        #expect(name.hasPrefix(hexadecimalText(identity) + "-"))
        let kept = try Data(contentsOf: URL(fileURLWithPath: "\(cache.directory ?? "")/\(name)"))
        #expect(try answers(cache) == fresh)
        // It was read, not written anew.
        #expect(try Data(contentsOf: URL(fileURLWithPath: "\(cache.directory ?? "")/\(name)")) == kept)
        #expect(keptFiles.count == 1)
    }

    @Test func aStrippedFileWithTheSameBuildIDHasItsOwnTable() throws {
        _ = try answers(cache)
        let stripped = scratch.path("stripped")
        _ = try run(["strip", "--strip-debug", "-o", stripped, program])
        let symbolizer = Symbolizer(cache: cache)
        #expect(try symbolizer.add(stripped).warnings.map(\.kind) == [.noDWARF])
        #expect(try Symbolizer(cache: cache).add(stripped).warnings.map(\.kind) == [.noDWARF])
        #expect(keptFiles.count == 2)
    }

    @Test func filesWithoutBuildIDAreKnownByTheirContent() throws {
        let plain = scratch.path("plain")
        _ = try run(["objcopy", "--remove-section=.note.gnu.build-id", program, plain])
        let fresh = try answers(.off, plain)
        #expect(try answers(cache, plain) == fresh)
        #expect(try answers(cache, plain) == fresh)
        #expect(keptFiles.count == 1)
    }

    @Test func damagedAndForeignTablesAreMadeAnew() throws {
        let fresh = try answers(cache)
        let path = "\(cache.directory ?? "")/\(try #require(keptFiles.first))"
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        var changes: [[UInt8]] = [[], Array(whole.dropLast(64)), whole + [0], Array("nonsense".utf8)]
        // The header, and the beginning of each section; the last one is empty.
        let sections = whole.withUnsafeBytes { bytes in
            (0..<SymbolTable.sectionCount - 1).map { bytes.loadUnaligned(fromByteOffset: 128 + $0 * 24, as: Int.self) }
        }
        for place in [0, 8, 16, 24, 40, 130, 150] + sections {
            var bytes = whole
            bytes[place] ^= 0x10
            changes.append(bytes)
        }
        for bytes in changes {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            #expect(try answers(cache) == fresh)
            #expect([UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) != bytes)
        }
        // Another program's table under this name.
        let other = try Programs.build(.fixed, in: scratch.url)
        _ = try answers(cache, other)
        let foreign = try #require(keptFiles.first { !path.hasSuffix($0) })
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: "\(cache.directory ?? "")/\(foreign)", toPath: path)
        #expect(try answers(cache) == fresh)
    }

    @Test func oldTablesMakeRoomForNewOnes() throws {
        _ = try answers(cache)
        let first = try #require(keptFiles.first)
        let size = try Data(contentsOf: URL(fileURLWithPath: "\(cache.directory ?? "")/\(first)")).count
        let other = try Programs.build(.dwarf4, in: scratch.url)
        let small = SymbolCache(directory: cache.directory, sizeLimit: UInt64(size) + 1000)
        _ = try answers(small, other)
        #expect(keptFiles.count == 1)
        #expect(keptFiles.first != first)
        // One that is larger than the limit stays all the same.
        let tiny = SymbolCache(directory: cache.directory, sizeLimit: 1)
        _ = try answers(tiny)
        #expect(keptFiles == [first])
    }

    @Test func aCacheThatCannotBeWrittenIsAWarning() throws {
        let file = try scratch.write([1], to: "file")
        let symbolizer = Symbolizer(cache: SymbolCache(directory: "\(file)/cache"))
        let info = try symbolizer.add(program)
        #expect(info.warnings.map(\.kind) == [.cacheUnavailable(errno: ENOTDIR)])
        #expect(info.functionCount > 10)
        #expect(info.warnings.first?.description.contains("XDG_CACHE_HOME") == true)
    }

    @Test func twoWritersAtOnceDoNoHarm() async throws {
        let fresh = try answers(.off)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { [cache, program] in
                    let symbolizer = Symbolizer(cache: cache)
                    let range = try symbolizer.add(program).range
                    return range.map { symbolizer.symbolize($0) } == fresh
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
        #expect(keptFiles.count == 1)
    }

    /// Right checksums over wild content: what an attacker would write.
    @Test func hostileTablesNeverTrap() throws {
        typealias Segment = SymbolTable.Segment
        typealias Block = SymbolTable.Block
        func region(
            _ segments: UInt32, _ blocks: UInt32, first: UInt32 = 0, span: UInt64 = 100
        ) -> SymbolTable.Region {
            SymbolTable.Region(
                base: 10, span: span, firstSegment: first, segmentCount: segments, firstBlock: first,
                blockCount: blocks)
        }
        let wild = [
            Segment(symbol: 7, node: 9, file: 99, line: 1), Segment(symbol: 0, node: 0, file: 2, line: 0), .empty,
        ]
        let nodes = [SymbolTable.Node(name: 77, callFile: 1, callLine: 1, parent: 0)]
        let symbols = [FunctionSymbol(address: .max, size: .max, name: 1234, rank: 0)]
        let regions = [
            region(3, 2, span: .max), region(3, 1, first: .max), region(0, 0), region(.max, .max),
            region(.max, .max, first: .max),
        ]
        let blocks = [
            [Block(starts: 1, first: 0), Block(starts: 0, first: 1)], [Block(starts: .max, first: 900)],
            [Block(starts: 0, first: 0), Block(starts: 1 << 63, first: .max)], [],
        ]
        for region in regions {
            for blocks in blocks {
                let table = try #require(
                    makeTable(
                        regions: [region], blocks: blocks, segments: wild, nodes: nodes, lows: [.max],
                        symbols: symbols, names: [0, 65, 0]))
                for address in [UInt64(0), 9, 10, 15, 30, 35, 41, 80, 100, 1 << 40, .max] {
                    #expect((table.view.describe(address, module: "m")?.frames.count ?? 0) <= 512)
                    _ = table.view.room(after: address)
                }
                let many = [UInt64](repeating: 31, count: 100)
                let lookup = SymbolLookup([(range: 0..<UInt64.max, slide: 0, table: table)])
                let hits = lookup.find(many)
                for hit in hits { lookup.forEachFrame(hit) { _ in } }
                hits.withUnsafeBufferPointer { lookup.forEachFrame($0) { _, _ in } }
                #expect(table.view.ranges(named: "x").isEmpty)
                #expect(table.view.aliases(at: .max).count == 1)
            }
        }
        // What cannot be right is not opened at all.
        #expect(makeTable(regions: [], blocks: [], segments: [], nodes: nodes, lows: []) == nil)
        #expect(makeTable(regions: [], blocks: [], segments: [], names: [65]) == nil)
        #expect(makeTable(regions: [], blocks: [], segments: [], names: []) == nil)
    }
}
