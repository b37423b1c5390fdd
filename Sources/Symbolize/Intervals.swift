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
    /// the one that was given first.
    var depth: UInt32
    var value: UInt32
}

/// Flattens nested intervals to boundaries: at each address the value of the innermost interval.
///
/// Intervals that are not properly nested (damaged input) give an answer too: the one that began last holds, to its
/// own end.
func innermost(_ intervals: [Interval]) -> [Boundary] {
    func areInOrder(_ first: Int, _ second: Int) -> Bool {
        let (a, b) = (intervals[first], intervals[second])
        return (a.depth, b.high, second) < (b.depth, a.high, first)
    }
    let order = sortedOrder(intervals.count, key: { intervals[$0].low }, areInOrder: areInOrder)
    var boundaries: [Boundary] = []
    func begin(_ low: UInt64, _ value: UInt32) {
        if let last = boundaries.last, last.low == low { boundaries.removeLast() }
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
    for index in order {
        let interval = intervals[Int(index)]
        guard interval.low < interval.high else { continue }
        close(upTo: interval.low)
        begin(interval.low, interval.value)
        open.append(interval)
    }
    close(upTo: .max)
    return boundaries
}

/// The indices 0..<count in ascending order of their keys, by a radix sort; `areInOrder` decides between equal keys.
///
/// Millions of addresses that lie close together are what is sorted here: three passes of eleven bits do.
func sortedOrder(
    _ count: Int, key: (Int) -> UInt64, areInOrder: (Int, Int) -> Bool
) -> [UInt32] {
    struct Pair: BitwiseCopyable {
        var key: UInt64
        var index: UInt32
    }
    guard count > 0, count < Int(UInt32.max) else { return [] }
    var (lowest, highest) = (UInt64.max, UInt64.min)
    var isSorted = true
    var pairs = [Pair](unsafeUninitializedCapacity: count) { buffer, filled in
        for index in 0..<count {
            let key = key(index)
            if key < highest { isSorted = false }
            lowest = min(lowest, key)
            highest = max(highest, key)
            buffer[index] = Pair(key: key, index: UInt32(truncatingIfNeeded: index))
        }
        filled = count
    }
    if !isSorted {
        var other = [Pair](repeating: Pair(key: 0, index: 0), count: count)
        var shift: UInt64 = 0
        while shift < 64, (highest &- lowest) &>> shift > 0 {
            radixPass(&pairs, &other) { Int(truncatingIfNeeded: ($0.key &- lowest) &>> shift) & 0x7ff }
            swap(&pairs, &other)
            shift &+= 11
        }
    }
    // Equal keys: few, and few at a time.
    var first = 0
    while first < count {
        var end = first &+ 1
        while end < count, pairs[end].key == pairs[first].key { end &+= 1 }
        if end &- first == 2 {
            if areInOrder(Int(pairs[first &+ 1].index), Int(pairs[first].index)) { pairs.swapAt(first, first &+ 1) }
        } else if end &- first > 2 {
            pairs[first..<end].sort { areInOrder(Int($0.index), Int($1.index)) }
        }
        first = end
    }
    return pairs.map(\.index)
}

@inline(__always)
private func radixPass<Element: BitwiseCopyable>(
    _ from: inout [Element], _ to: inout [Element], _ digit: (Element) -> Int
) {
    var places = [Int](repeating: 0, count: 0x800)
    for element in from { places[digit(element)] &+= 1 }
    var sum = 0
    for index in places.indices { (places[index], sum) = (sum, sum &+ places[index]) }
    for element in from {
        let digit = digit(element)
        to[places[digit]] = element
        places[digit] &+= 1
    }
}
