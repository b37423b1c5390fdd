// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

/// A set of addresses, as disjoint ranges in ascending order.
public struct AddressRanges: Sendable, Equatable {
    /// The ranges.
    public let ranges: [Range<UInt64>]

    /// Sorts the ranges, and joins those that touch or overlap.
    public init(_ ranges: [Range<UInt64>]) {
        self.ranges = ranges.filter { !$0.isEmpty }.joinedRanges()
    }

    /// Whether there are no addresses.
    public var isEmpty: Bool { ranges.isEmpty }

    /// Whether an address is in one of the ranges. Takes O(log n) steps.
    @inline(__always)
    public func contains(_ address: UInt64) -> Bool {
        ranges.withUnsafeBufferPointer { ranges in
            guard let first = ranges.first, let last = ranges.last, address >= first.lowerBound,
                address < last.upperBound
            else { return false }
            return ranges[ranges.partitioningIndex { $0.upperBound > address }].lowerBound <= address
        }
    }
}
