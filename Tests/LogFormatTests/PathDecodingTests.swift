// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Testing

@testable import LogFormat

/// The decoders of the path: that with vector instructions, which most processors have, and that for all others.
@Suite struct PathDecodingTests {
    /// Which lengths from values have: any, one byte as nearly all in a log, or that with an exception in some 300 records.
    enum FromLengths: CaseIterable {
        case any, one, nearlyOne
    }

    /// Columns of `count` records with random lengths and values, and 16 bytes after each.
    private struct Columns {
        var control: [UInt8] = []
        var from: [UInt8] = []
        var to: [UInt8] = []
        var expected: [(from: UInt64, to: UInt64)] = []
        var sizes = (from: 0, to: 0)

        init(count: Int, _ lengths: FromLengths, _ random: inout Numbers) {
            var previous: UInt64 = 0
            for index in 0..<count {
                let isAny = lengths == .any || lengths == .nearlyOne && random.next() % 300 == 0
                let nibble = UInt8(truncatingIfNeeded: random.next()) & (isAny ? 15 : 12)
                if index & 1 == 0 { control.append(nibble) } else { control[index / 2] |= nibble << 4 }
                let fromLength = [1, 2, 4, 8][Int(nibble & 3)]
                let toLength = [1, 2, 3, 8][Int(nibble >> 2)]
                let first = random.next() >> UInt64(64 - 8 * fromLength)
                let second = Int64(bitPattern: random.next()) >> Int64(64 - 8 * toLength)
                append(first, fromLength, to: &from)
                append(UInt64(bitPattern: second), toLength, to: &to)
                let address = previous &+ first
                previous = address &+ UInt64(bitPattern: second)
                expected.append((address, previous))
            }
            sizes = (from.count, to.count)
            from += [UInt8](repeating: 0xff, count: 16)
            to += [UInt8](repeating: 0xff, count: 16)
        }

        private func append(_ value: UInt64, _ length: Int, to column: inout [UInt8]) {
            for byte in 0..<length { column.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))) }
        }
    }

    @Test func clocks() {
        for count in [1, 3, 4, 5, 1001] {
            let first = UInt64.max - 2
            var clocks = [UInt64](repeating: 7, count: count + 1)
            ttlog_write_clocks(&clocks, first, count)
            #expect((0..<count).allSatisfy { clocks[$0] == first &+ UInt64($0) } && clocks[count] == 7)
        }
    }

    @Test(arguments: [true, false], FromLengths.allCases) func decoding(usesVectors: Bool, lengths: FromLengths) {
        let tables = PathTables(usesVectors: usesVectors)
        var random = Numbers(16)
        for count in [1, 2, 3, 63, 64, 65, 66, 127, 128, 129, 1001, 4096, 65536] {
            let columns = Columns(count: count, lengths, &random)
            #expect(tables.columnSizes(columns.control, count: count) == columns.sizes)
            var from = [UInt64](repeating: 0, count: count + 1)
            var to = from
            tables.decode(columns.control, columns.from, columns.to, count: count, &from, &to)
            #expect(zip(columns.expected, zip(from, to)).allSatisfy { $0.from == $1.0 && $0.to == $1.1 })
            var alone = [UInt64](repeating: 0, count: count + 1)
            tables.decode(columns.control, columns.from, columns.to, count: count, nil, &alone)
            #expect(zip(columns.expected, alone).allSatisfy { $0.to == $1 })
        }
    }
}
