// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
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

    private static func mutate(_ bytes: [UInt8], using generator: inout Seeded) -> [UInt8] {
        var bytes = bytes
        switch Int.random(in: 0..<5, using: &generator) {
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
                let value: UInt64 = [0, .max, 0x7fff_ffff, 0xffff_ffff, 1 << 63].randomElement(using: &generator) ?? 0
                for index in 0..<8 { bytes[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
            }
        case 3:  // one stretch copied over another
            let length = Int.random(in: 1...2000, using: &generator)
            let from = Int.random(in: 0..<bytes.count - length, using: &generator)
            let to = Int.random(in: 0..<bytes.count - length, using: &generator)
            bytes.replaceSubrange(to..<to + length, with: Array(bytes[from..<from + length]))
        default:  // the section headers, which stand last
            let headers = bytes.count - 64 * 36
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                bytes[Int.random(in: headers..<bytes.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
        }
        return bytes
    }

    @Test func tenThousandMutatedFilesNeverTrap() throws {
        let scratch = try ScratchDirectory()
        var generator = Seeded(state: 20_261_121)
        let originals = try [Programs.Variant.pie, .dwarf4, .compressed].map {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: try Programs.build($0, in: scratch.url))))
        }
        var (read, refused, warned) = (0, 0, 0)
        for round in 0..<7500 {
            let path = try scratch.write(
                Self.mutate(originals[round % originals.count], using: &generator), to: "mutated")
            let symbolizer = Symbolizer()
            do throws(SymbolError) {
                let info = try symbolizer.add(path)
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
        #expect(read > 2000)
        #expect(refused > 200)
        #expect(warned > 200)
    }

    /// Cached tables with wrong bytes, the checksums made right again: what no checksum stops.
    @Test func mutatedTablesNeverTrap() throws {
        let scratch = try ScratchDirectory()
        var generator = Seeded(state: 4711)
        let program = try ELFImage(path: try Programs.build(.pie, in: scratch.url), machine: 62)
        var builder = TableBuilder(program: program, debugFile: nil, alternate: nil)
        let built = builder.build()
        let table = try #require(built)
        let key = SymbolCache.Key(first: 1, second: 2, name: "test")
        let (header, sections) = table.header(key: key)
        var original = header
        for (offset, bytes) in sections {
            original += [UInt8](repeating: 0, count: offset - original.count) + [UInt8](bytes)
        }
        original += [UInt8](repeating: 0, count: (64 - original.count % 64) % 64)
        var opened = 0
        for round in 0..<2500 {
            var bytes = original
            // A header with wrong sizes is refused early, so most rounds change what comes behind it.
            let isHeader = round % 4 == 0
            for _ in 0..<Int.random(in: 1...(isHeader ? 3 : 60), using: &generator) {
                let place = Int.random(in: isHeader ? 48..<320 : 512..<bytes.count, using: &generator)
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
        #expect(opened > 500)
    }

    private static func repairChecksums(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { raw in
            let sizes = [40, 4, 16, 4, 24, 24, 1, 16]
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
