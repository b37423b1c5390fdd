// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The places of the columns in a raw body. Every column is inside the body; the contents are not checked.
struct ColumnLayout {
    /// The columns, one after the other.
    var columns: [UnsafeRawBufferPointer]

    /// Reads the table of column sizes. Throws when the sizes and the body's size disagree.
    init(body: UnsafeRawBufferPointer, columnCount: Int) throws(MalformedBody) {
        let tableSize = columnCount * 4
        guard body.count >= tableSize else {
            throw MalformedBody(column: columnCount, expected: UInt64(tableSize), found: UInt64(body.count))
        }
        let raw = RawFields(body)
        var columns: [UnsafeRawBufferPointer] = []
        var end = tableSize
        for index in 0..<columnCount {
            let size = Int(raw.uint32(index * 4))
            guard size <= body.count - end else {
                throw MalformedBody(column: index, expected: UInt64(body.count - end), found: UInt64(size))
            }
            columns.append(UnsafeRawBufferPointer(rebasing: body[end..<(end + size)]))
            end += size
        }
        guard end == body.count else {
            throw MalformedBody(column: columnCount, expected: UInt64(body.count), found: UInt64(end))
        }
        self.columns = columns
    }

    /// The bytes of adjacent columns.
    func bytes(_ range: ClosedRange<Int>) -> UnsafeRawBufferPointer {
        let first = columns[range.lowerBound]
        let count = columns[range].reduce(0) { $0 + $1.count }
        return UnsafeRawBufferPointer(start: first.baseAddress, count: count)
    }
}

/// A body whose columns do not fit.
struct MalformedBody: Error {
    /// The column, or the number of columns for the body as a whole.
    var column: Int
    var expected: UInt64
    var found: UInt64

    var damage: DamageKind { .columns(column: column, expected: expected, found: found) }
}
