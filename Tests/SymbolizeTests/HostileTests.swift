// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Formatting
import Foundation
import Testing

@testable import Symbolize

/// Damaged symbol files: an answer or an error, never a trap, never an endless loop.
@Suite struct HostileTests {
    /// A small linear congruential generator, so that a failure can be repeated.
    struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    /// A program, and where its debug sections are.
    private struct Original {
        var bytes: [UInt8]
        var debugSections: [Range<Int>]

        init(bytes: [UInt8], debugSections: [Range<Int>]) {
            self.bytes = bytes
            self.debugSections = debugSections
        }

        init(_ path: String) throws {
            bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            let image = try ELFImage(path: path, machine: .x86_64)
            debugSections = [
                ".debug_info", ".debug_abbrev", ".debug_line", ".debug_line_str", ".debug_str",
                ".debug_rnglists", ".debug_ranges", ".debug_aranges",
            ].compactMap { name in
                image.section(named: name).map {
                    Int($0.header.sh_offset)..<Int($0.header.sh_offset) + Int($0.header.sh_size)
                }
            }
        }
    }

    static func mutate(_ bytes: [UInt8], using generator: inout Seeded) -> [UInt8] {
        mutate(Original(bytes: bytes, debugSections: []), using: &generator)
    }

    private static func mutate(_ original: Original, using generator: inout Seeded) -> [UInt8] {
        var bytes = original.bytes
        let numbers: [UInt64] = [0, .max, 0x7fff_ffff, 0xffff_ffff, 1 << 63]
        switch Int.random(in: 0..<7, using: &generator) {
        case 0:  // single bits, anywhere
            for _ in 0..<Int.random(in: 1...40, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] ^=
                    1 << UInt8.random(in: 0..<8, using: &generator)
            }
        case 1:  // cut off
            bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator))
        case 2:  // hostile numbers
            for _ in 0..<Int.random(in: 1...20, using: &generator) {
                let at = Int.random(in: 0..<bytes.count - 8, using: &generator)
                let value = numbers.randomElement(using: &generator) ?? 0
                for index in 0..<8 { bytes[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
            }
        case 3:  // one stretch copied over another
            let length = Int.random(in: 1...2000, using: &generator)
            let from = Int.random(in: 0..<bytes.count - length, using: &generator)
            let to = Int.random(in: 0..<bytes.count - length, using: &generator)
            bytes.replaceSubrange(to..<to + length, with: Array(bytes[from..<from + length]))
        case 4:  // the section headers, which are last
            let headers = max(0, bytes.count - 64 * 36)
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                bytes[Int.random(in: headers..<bytes.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
        default:  // one section of DWARF: its beginning, or anywhere in it
            let section = original.debugSections.randomElement(using: &generator) ?? bytes.indices
            let part = Bool.random(using: &generator) ? section : section.prefix(64)
            for _ in 0..<Int.random(in: 1...12, using: &generator) {
                bytes[Int.random(in: part, using: &generator)] =
                    ([0, 0xff, 0x7f, 0x80, UInt8.random(in: 0...255, using: &generator)]
                        .randomElement(using: &generator) ?? 0)
            }
        }
        return bytes
    }

    @Test func tenThousandMutatedFilesNeverTrap() throws {
        let scratch = try ScratchDirectory()
        var generator = Seeded(state: 20_261_121)
        let originals = try [Programs.Variant.pie, .dwarf4, .compressed].map {
            try Original(try Programs.build($0, in: scratch.url))
        }
        #expect(originals.allSatisfy { $0.debugSections.count >= 5 })
        var (read, refused, warned) = (0, 0, 0)
        for round in 0..<10_000 {
            let path = try scratch.write(
                Self.mutate(originals[round % originals.count], using: &generator), to: "mutated")
            // Every other one is read as it is asked.
            let reading = Symbolizer.Reading.onDemand(smallest: 0, largestPart: Double(round % 4) / 3)
            let symbolizer = Symbolizer(reading: round % 2 == 0 ? .whole : reading)
            do throws(SymbolError) {
                try symbolizer.add(path)
                _ = try symbolizer.lookup(
                    for: (0..<50).map { _ in UInt64.random(in: 0x1000..<0x403000, using: &generator) })
                let info = symbolizer.modules[0]
                read += 1
                warned += info.warnings.isEmpty ? 0 : 1
            } catch {
                refused += 1
            }
            for _ in 0..<50 {
                let address = UInt64.random(in: 0x1000..<0x403000, using: &generator)
                #expect((symbolizer.symbolize(address)?.frames.count ?? 0) <= 512)
            }
            _ = symbolizer.resolve(name: "outer+4")
        }
        #expect(read > 4000)
        #expect(refused > 300)
        #expect(warned > 1000)
    }

    /// Cached tables with wrong bytes, the checksums made right again: what no checksum stops.
    @Test func tenThousandMutatedTablesNeverTrap() throws {
        let scratch = try ScratchDirectory()
        var generator = Seeded(state: 4711)
        let program = try Programs.build(.pie, in: scratch.url)
        let table = try SymbolTable.load(path: program, machine: .x86_64, cache: .off).table
        let key = SymbolCache.Key(first: 1, second: 2, name: "test")
        let (header, sections) = table.header(key: key)
        var original = header
        for (offset, bytes) in sections {
            original += [UInt8](repeating: 0, count: offset - original.count) + [UInt8](bytes)
        }
        original += [UInt8](repeating: 0, count: (64 - original.count % 64) % 64)
        var opened = 0
        for round in 0..<10_000 {
            var bytes = original
            // A header with wrong sizes is refused early, so most rounds change what comes after it: everything, or
            // regions and blocks, which are first.
            let isHeader = round % 4 == 0
            let end = round % 2 == 0 ? bytes.count : 2048
            for _ in 0..<Int.random(in: 1...(isHeader ? 3 : 60), using: &generator) {
                let place = Int.random(in: isHeader ? 48..<320 : 512..<end, using: &generator)
                bytes[place] =
                    [0, 0xff, 0x7f, 0x80, UInt8.random(in: 0...255, using: &generator)].randomElement(
                        using: &generator) ?? 0
            }
            Self.repairChecksums(&bytes)
            bytes.withUnsafeBytes { raw in
                guard let start = raw.baseAddress else { return }
                let area = Bytes(start: start, count: raw.count)
                guard let table = SymbolTable(area, key: key, owner: scratch) else { return }
                opened += 1
                let lookup = SymbolLookup([(range: 0..<UInt64.max, slide: 0, table: table)])
                let addresses = (0..<64).map { _ in UInt64.random(in: 0x1000..<0x4000, using: &generator) }
                for hit in lookup.find(addresses) {
                    var depth = 0
                    lookup.forEachFrame(hit) { frame in
                        depth += 1
                        _ = lookup.withFunctionName(frame) { $0.count } + lookup.withFile(frame) { $0.count }
                    }
                    #expect(depth <= 512)
                }
                for address in addresses { _ = table.view.describe(address, module: "m") }
                _ = table.view.ranges(named: "outer")
            }
        }
        #expect(opened > 5000)
    }

    /// Texts of symbols with wrong bytes, cut lines, wild numbers, no end of a line.
    @Test func tenThousandMutatedTextsNeverTrap() throws {
        let scratch = try ScratchDirectory()
        var generator = Seeded(state: 65_537)
        var text = ""
        for index in 0..<200 {
            let address = String(0xffff_ffff_8100_0000 + UInt64(index * index * 48), radix: 16)
            let kind = ["T", "t", "W", "D", "b"][index % 5]
            text += "\(address) \(kind) name_\(index / 3)\(index % 7 == 0 ? "\t[module]" : "")\n"
        }
        let original = [UInt8](text.utf8)
        let pieces = [
            "ffffffffffffffff T last\n", "0000000000000000 T zero\n", "T\n", "\n\n", " \t ", "\0", "\u{ff}\u{fe}",
            "7fffffffffffffff t middle\n", String(repeating: "a", count: 5000), "123456789abcdef01 T long\n",
        ].map { [UInt8]($0.utf8) }
        var (read, refused) = (0, 0)
        for _ in 0..<10_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...8, using: &generator) where !bytes.isEmpty {
                let at = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.removeSubrange(at..<min(at + 400, bytes.count))
                case 2: bytes.insert(contentsOf: pieces.randomElement(using: &generator) ?? [], at: at)
                default: bytes.insert(contentsOf: bytes[at...].prefix(300), at: 0)
                }
            }
            let path = try scratch.write(bytes, to: "System.map")
            let symbolizer = Symbolizer()
            do throws(SymbolError) {
                let info = try symbolizer.add(path)
                read += 1
                for _ in 0..<20 {
                    let address = UInt64.random(in: info.range.lowerBound...info.range.upperBound, using: &generator)
                    #expect((symbolizer.symbolize(address)?.frames.count ?? 0) <= 1)
                }
            } catch {
                refused += 1
            }
            _ = symbolizer.resolve(name: "name_7")
        }
        #expect(read > 5000)
        #expect(refused > 100)
    }

    private static func repairChecksums(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { raw in
            let sizes = [32, 16, 16, 16, 8, 24, 1, 16, 16, 8]
            for (index, size) in sizes.enumerated() {
                let offset = raw.loadUnaligned(fromByteOffset: 128 + index * 24, as: Int.self)
                let count = raw.loadUnaligned(fromByteOffset: 136 + index * 24, as: Int.self)
                let (length, overflow) = count.multipliedReportingOverflow(by: size)
                guard !overflow, offset >= 0, length >= 0, offset <= raw.count, length <= raw.count - offset,
                    let start = raw.baseAddress
                else { continue }
                raw.storeBytes(
                    of: ttlog_hash(start + offset, length, 0), toByteOffset: 144 + index * 24, as: UInt64.self)
            }
            if let start = raw.baseAddress {
                raw.storeBytes(of: ttlog_hash(start + 32, 480, 0), toByteOffset: 24, as: UInt64.self)
            }
        }
    }
}
