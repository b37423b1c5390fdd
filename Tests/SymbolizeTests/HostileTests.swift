// SPDX-License-Identifier: GPL-2.0-or-later

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

    @Test func twoThousandMutatedFilesNeverTrap() throws {
        let scratch = try ScratchDirectory()
        var generator = Seeded(state: 20_261_121)
        let originals = try [Programs.Variant.pie, .dwarf4].map {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: try Programs.build($0, in: scratch.url))))
        }
        var (read, refused, warned) = (0, 0, 0)
        for round in 0..<2000 {
            let path = try scratch.write(Self.mutate(originals[round & 1], using: &generator), to: "mutated")
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
        #expect(read > 500)
        #expect(refused > 50)
        #expect(warned > 50)
    }
}
