// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A few short texts that rows repeat by the million. An array of arrays would cost two reference counts a row.
struct FixedTexts: ~Copyable {
    private let bytes: UnsafeMutablePointer<UInt8>
    /// The beginning of each text in `bytes`, and the end of the last.
    private let offsets: UnsafeMutablePointer<Int>

    init(_ texts: [[UInt8]]) {
        bytes = .allocate(capacity: max(1, texts.reduce(0) { $0 + $1.count }))
        offsets = .allocate(capacity: texts.count + 1)
        var end = 0
        for (index, text) in texts.enumerated() {
            offsets[index] = end
            (bytes + end).update(from: text, count: text.count)
            end += text.count
        }
        offsets[texts.count] = end
    }

    deinit {
        bytes.deallocate()
        offsets.deallocate()
    }

    /// Appends a text to a row. The index must be that of a text.
    @inline(__always)
    borrowing func append(_ index: Int, to row: inout TextBuffer) {
        let begin = offsets[index]
        row.append(UnsafeBufferPointer(start: bytes + begin, count: offsets[index &+ 1] &- begin))
    }
}
