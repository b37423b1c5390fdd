// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Formatting

/// Decodes the columns of a branch body.
///
/// The sizes of the columns are checked once, against sums over the control bytes. The loops then load whole words
/// without further checks. They may load up to 16 bytes after a column; therefore a body has slack after it.
enum BranchDecoder {
    /// Where the decoded columns go: room for `count` records, rounded up to a multiple of 8, and 8 more.
    struct Output {
        var from: UnsafeMutablePointer<UInt64>
        var to: UnsafeMutablePointer<UInt64>
        var icount: UnsafeMutablePointer<UInt64>
        var label: UnsafeMutablePointer<UInt8>
    }

    /// Decodes a raw body of `count` records that has ``ReusedBuffer/slack`` bytes after it.
    static func decode(
        _ body: UnsafeRawBufferPointer, count: Int, icountFirst: UInt64, columns: BranchBatch.Columns,
        into output: Output
    ) throws(MalformedBody) {
        let layout = try ColumnLayout(body: body, columnCount: Int(TTLOG_BRANCH_COLUMNS.rawValue))
        if !columns.isDisjoint(with: .path) {
            try decodePath(layout, count: count, hasFrom: columns.contains(.from), output)
        }
        if columns.contains(.label) { try decodeLabels(layout, count: count, output) }
        if columns.contains(.icount) { try decodeIcounts(layout, count: count, first: icountFirst, output) }
    }

    /// The largest possible size in bytes of a body of `count` records.
    static func bodyBound(count: Int) -> Int {
        28 + (count + 1) / 2 * 2 + count * (8 + 8 + 1 + 1 + 8)
    }
}

// MARK: - Path
extension BranchDecoder {
    private static func decodePath(
        _ layout: ColumnLayout, count: Int, hasFrom: Bool, _ output: Output
    ) throws(MalformedBody) {
        let control = layout.columns[Int(TTLOG_BCOL_CONTROL.rawValue)]
        let from = layout.columns[Int(TTLOG_BCOL_FROM.rawValue)]
        let to = layout.columns[Int(TTLOG_BCOL_TO.rawValue)]
        try expect(control.count, (count + 1) / 2, TTLOG_BCOL_CONTROL)
        guard count > 0, let controlBytes = control.baseAddress, let fromBytes = from.baseAddress,
            let toBytes = to.baseAddress
        else { return try expect(from.count + to.count, 0, TTLOG_BCOL_FROM) }
        let needed = PathTables.shared.columnSizes(controlBytes, count: count)
        try expect(from.count, needed.from, TTLOG_BCOL_FROM)
        try expect(to.count, needed.to, TTLOG_BCOL_TO)
        PathTables.shared.decode(
            controlBytes, fromBytes, toBytes, count: count, hasFrom ? output.from : nil, output.to)
    }

    private static func expect(_ found: Int, _ expected: Int, _ column: ttlog_branch_column) throws(MalformedBody) {
        guard found == expected else {
            throw MalformedBody(
                column: Int(column.rawValue), expected: UInt64(truncatingIfNeeded: expected),
                found: UInt64(truncatingIfNeeded: found))
        }
    }
}

// MARK: - Labels
extension BranchDecoder {
    private static func decodeLabels(_ layout: ColumnLayout, count: Int, _ output: Output) throws(MalformedBody) {
        let nibbles = layout.columns[Int(TTLOG_BCOL_LABEL.rawValue)]
        let escapes = layout.columns[Int(TTLOG_BCOL_LABEL_ESCAPE.rawValue)]
        try expect(nibbles.count, (count + 1) / 2, TTLOG_BCOL_LABEL)
        guard let bytes = nibbles.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        let pairs = LabelTables.shared.pairs
        let labels = UnsafeMutableRawPointer(output.label)
        let blockBytes = 32
        var nextEscape = 0
        var start = 0
        while start < nibbles.count {
            let end = min(start + blockBytes, nibbles.count)
            var seen: UInt16 = 0
            for index in start..<end {
                let pair = pairs[Int(bytes[index])]
                labels.storeBytes(of: pair, toByteOffset: index * 2, as: UInt16.self)
                seen |= pair
            }
            if seen & LabelTables.escapeMask != 0 {
                for record in (start * 2)..<min(end * 2, count)
                where bytes[record >> 1] >> UInt8((record & 1) * 4) & 15 == UInt8(TTLOG_LABEL_NIBBLE_ESCAPE) {
                    guard nextEscape < escapes.count else {
                        return try expect(escapes.count, nextEscape + 1, TTLOG_BCOL_LABEL_ESCAPE)
                    }
                    output.label[record] = escapes[nextEscape]
                    nextEscape += 1
                }
            }
            start = end
        }
        try expect(escapes.count, nextEscape, TTLOG_BCOL_LABEL_ESCAPE)
    }
}

// MARK: - Instruction counts
extension BranchDecoder {
    private static func decodeIcounts(
        _ layout: ColumnLayout, count: Int, first: UInt64, _ output: Output
    ) throws(MalformedBody) {
        let steps = layout.columns[Int(TTLOG_BCOL_ICOUNT.rawValue)]
        let escapes = layout.columns[Int(TTLOG_BCOL_ICOUNT_ESCAPE.rawValue)]
        if steps.isEmpty {
            try expect(escapes.count, 0, TTLOG_BCOL_ICOUNT_ESCAPE)
            output.icount.update(repeating: 0, count: count)
            return
        }
        try expect(steps.count, count, TTLOG_BCOL_ICOUNT)
        guard let bytes = steps.baseAddress else { return }
        var icount = first
        var nextEscape = 0
        var record = 0
        while record < count {
            let group = min(8, count - record)
            var word = bytes.loadUnaligned(fromByteOffset: record, as: UInt64.self)
            let target = output.icount + record
            if group == 8, !hasByte255(word) {
                for index in 0..<8 {
                    icount &+= word & 0xff
                    target[index] = icount
                    word >>= 8
                }
            } else {
                for index in 0..<group {
                    var step = word & 0xff
                    if step == 255 {
                        guard nextEscape + 8 <= escapes.count else {
                            return try expect(escapes.count, nextEscape + 8, TTLOG_BCOL_ICOUNT_ESCAPE)
                        }
                        step = escapes.loadUnaligned(fromByteOffset: nextEscape, as: UInt64.self)
                        nextEscape += 8
                    }
                    icount &+= step
                    target[index] = icount
                    word >>= 8
                }
            }
            record += group
        }
        try expect(escapes.count, nextEscape, TTLOG_BCOL_ICOUNT_ESCAPE)
    }

    /// Whether any of the eight bytes is 255: adding one to each would carry out of that byte.
    @inline(__always)
    private static func hasByte255(_ word: UInt64) -> Bool {
        let inverted = ~word
        return (inverted &- 0x0101_0101_0101_0101) & ~inverted & 0x8080_8080_8080_8080 != 0
    }
}
