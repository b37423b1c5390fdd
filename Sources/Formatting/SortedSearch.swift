// SPDX-License-Identifier: GPL-2.0-or-later

extension RandomAccessCollection where Index == Int {
    /// The first index at which a predicate holds; `endIndex` if it holds nowhere.
    ///
    /// The predicate must not hold before that index and must hold at every index from it on. Takes O(log n) calls.
    ///
    ///     [1, 3, 5, 7].partitioningIndex { $0 >= 4 }  // 2
    @inlinable @inline(__always)
    public func partitioningIndex(where holds: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low &+ (high &- low) / 2
            if holds(self[middle]) { high = middle } else { low = middle &+ 1 }
        }
        return low
    }
}
