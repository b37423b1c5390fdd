// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Symbolize

/// Asks a symbolizer that reads files on demand for the addresses of few rows, then of more and more: the first rows come
/// at once, and many rows do not ask often.
struct AheadReader {
    private let symbolizer: Symbolizer
    private var rowCount = 64
    private var addresses: [UInt64] = []

    init(_ symbolizer: Symbolizer) { self.symbolizer = symbolizer }

    /// Whether all files have been read completely.
    var isDone: Bool { symbolizer.isWhole }

    /// Asks for the first of these rows; returns the end of the part that was asked for.
    mutating func read(_ batch: borrowing BranchBatch, _ range: Range<Int>) -> Int {
        let end = min(range.lowerBound + rowCount, range.upperBound)
        let (from, to) = (batch.from, batch.to)
        addresses.removeAll(keepingCapacity: true)
        for index in range.lowerBound..<end { addresses += [from[index], to[index]] }
        // Addresses in files that cannot be read get no names.
        _ = try? symbolizer.lookup(for: addresses)
        rowCount = min(rowCount * 4, 1 << 20)
        return end
    }
}
