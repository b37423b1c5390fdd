// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

/// Addresses, as ranges in ascending order that lie apart.
public struct AddressRanges: Sendable, Equatable {
    public let ranges: [Range<UInt64>]

    /// Sorts the ranges, and joins those that touch or overlap.
    public init(_ ranges: [Range<UInt64>]) {
        self.ranges = ranges.filter { !$0.isEmpty }.joinedRanges()
    }

    public var isEmpty: Bool { ranges.isEmpty }

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
