// SPDX-License-Identifier: GPL-2.0-or-later

/// From an address on (up to the next boundary) a value holds.
struct Boundary: Sendable, BitwiseCopyable {
    /// No value holds.
    static let none = UInt32.max

    var low: UInt64
    var value: UInt32
}

/// An address range with a value; of two ranges that contain an address, the inner one holds there.
struct Interval: Sendable, BitwiseCopyable {
    var low: UInt64
    /// Exclusive.
    var high: UInt64
    /// Of two intervals with the same beginning the one with the greater depth is inside; then the shorter one, then
    /// the one with the lesser value.
    var depth: UInt32
    var value: UInt32
}

/// Flattens nested intervals to boundaries: at each address the value of the innermost interval.
///
/// Intervals that are not properly nested (damaged input) give an answer too: the one that began last holds, to its
/// own end.
func innermost(_ intervals: [Interval]) -> [Boundary] {
    let sorted = intervals.sorted {
        ($0.low, $0.depth, $1.high, $1.value) < ($1.low, $1.depth, $0.high, $0.value)
    }
    var boundaries: [Boundary] = []
    func begin(_ low: UInt64, _ value: UInt32) {
        if boundaries.last?.low == low { boundaries.removeLast() }
        if (boundaries.last?.value ?? Boundary.none) != value { boundaries.append(Boundary(low: low, value: value)) }
    }
    var open: [Interval] = []
    /// Ends the open intervals that end at or before `address`.
    func close(upTo address: UInt64) {
        while let top = open.last, top.high <= address {
            open.removeLast()
            while let below = open.last, below.high <= top.high { open.removeLast() }
            begin(top.high, open.last?.value ?? Boundary.none)
        }
    }
    for interval in sorted where interval.low < interval.high {
        close(upTo: interval.low)
        begin(interval.low, interval.value)
        open.append(interval)
    }
    close(upTo: .max)
    return boundaries
}
