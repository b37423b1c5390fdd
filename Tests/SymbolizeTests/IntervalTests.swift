// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import Symbolize

@Suite struct IntervalTests {
    /// A slow second opinion: the value at each address, for properly nested intervals.
    private static func byHand(_ intervals: [Interval], _ address: UInt64) -> UInt32 {
        intervals.filter { $0.low <= address && address < $0.high }
            .max { ($0.low, $0.depth, $1.high, $1.value) < ($1.low, $1.depth, $0.high, $0.value) }?.value
            ?? Boundary.none
    }

    private static func value(_ boundaries: [Boundary], _ address: UInt64) -> UInt32 {
        boundaries.last { $0.low <= address }?.value ?? Boundary.none
    }

    @Test func nestedIntervalsGiveTheInnermost() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            var intervals: [Interval] = []
            func nest(_ low: UInt64, _ high: UInt64, _ depth: UInt32) {
                guard depth < 5, low < high else { return }
                var at = low
                while at < high {
                    let end = UInt64.random(in: at...high, using: &generator)
                    if Bool.random(using: &generator) {
                        intervals.append(Interval(low: at, high: end, depth: depth, value: UInt32(intervals.count)))
                        nest(at, end, depth + 1)
                    }
                    at = max(end, at + 1)
                }
            }
            nest(0, 60, 0)
            let boundaries = innermost(intervals.shuffled())
            for address in UInt64(0)...61 {
                #expect(Self.value(boundaries, address) == Self.byHand(intervals, address))
            }
            #expect(zip(boundaries, boundaries.dropFirst()).allSatisfy { $0.low < $1.low && $0.value != $1.value })
        }
    }

    @Test func crossingIntervalsHaveAnAnswerToo() {
        let boundaries = innermost([
            Interval(low: 0, high: 10, depth: 0, value: 0), Interval(low: 5, high: 15, depth: 1, value: 1),
            Interval(low: 20, high: .max, depth: 0, value: 2), Interval(low: 30, high: 30, depth: 0, value: 3),
        ])
        #expect(boundaries.map(\.low) == [0, 5, 15, 20, .max])
        #expect(boundaries.map(\.value) == [0, 1, Boundary.none, 2, Boundary.none])
        #expect(innermost([]).isEmpty)
    }
}

/// Names in one block of bytes.
@Suite struct StringPoolTests {
    @Test func eachNameHasOneNumberAndItsLength() {
        var pool = StringPool()
        let names =
            (0..<3000).map { "name\($0)" } + [1, 254, 255, 256, 300, 5000].map { String(repeating: "x", count: $0) }
        let ids = names.map { name in name.withCString { pool.intern($0) } }
        #expect(Set(ids).count == names.count)
        #expect(names.map { name in name.withCString { pool.intern($0) } } == ids)
        var other = StringPool()
        _ = "other".withCString { other.intern($0) }
        let map = other.absorb(pool)
        for (name, id) in zip(names, ids) {
            pool.bytes.withUnsafeBytes { bytes in
                #expect(StringPool.length(bytes.baseAddress!, Int(id)) == name.utf8.count)
            }
            other.bytes.withUnsafeBytes { bytes in
                let start = bytes.baseAddress! + Int(map[Int(id)])
                #expect(String(cString: start.assumingMemoryBound(to: CChar.self)) == name)
            }
        }
        #expect("".withCString { pool.intern($0) } == 0)
    }
}
