// SPDX-License-Identifier: GPL-2.0-or-later

/// Addresses, as ranges in ascending order that lie apart.
public struct AddressRanges: Sendable, Equatable {
    public let ranges: [Range<UInt64>]

    /// Sorts the ranges, and joins those that touch or overlap.
    public init(_ ranges: [Range<UInt64>]) {
        self.ranges = ranges.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) {
            if let last = $0.last, $1.lowerBound <= last.upperBound {
                $0[$0.count - 1] = last.lowerBound..<max(last.upperBound, $1.upperBound)
            } else {
                $0.append($1)
            }
        }
    }

    public var isEmpty: Bool { ranges.isEmpty }

    @inline(__always)
    public func contains(_ address: UInt64) -> Bool {
        ranges.withUnsafeBufferPointer { ranges in
            guard let first = ranges.first, let last = ranges.last, address >= first.lowerBound,
                address < last.upperBound
            else { return false }
            var (low, high) = (0, ranges.count)
            while low < high {
                let middle = (low &+ high) / 2
                if ranges[middle].upperBound <= address { low = middle &+ 1 } else { high = middle }
            }
            return ranges[low].lowerBound <= address
        }
    }
}
