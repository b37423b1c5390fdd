// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Formatting

/// Which units describe an address, without reading these units: by `.debug_aranges` (DWARF 5, 6.1.2), and for units
/// that it does not mention by the ranges that their first entry has.
///
/// libdw has both (`dwarf_getaranges`, `dwarf_ranges`), but looks at each unit of the file for the former.
struct UnitMap {
    /// A stretch of addresses of the file that a unit describes.
    private struct Stretch: BitwiseCopyable {
        var low: UInt64
        var high: UInt64
        /// Where the header of the unit is.
        var unit: UInt64
        /// The highest end of all stretches up to this one.
        var reach: UInt64 = 0
    }

    /// By their lowest address.
    private var stretches: [Stretch] = []
    /// Units of code whose first entry has no addresses: they may describe any.
    private var unbounded: [UInt64] = []
    /// Whether all units were looked at.
    private var isComplete = false

    init(_ info: DebugInfo) {
        stretches = UnitMap.readTable(info.section(".debug_aranges")) ?? []
        sort()
    }

    /// The units that describe an address, and the addresses around it that are described by the same ones.
    struct Found {
        /// Where the headers of the units are.
        var units: [UInt64] = []
        var around: Range<UInt64>
    }

    /// Which units describe an address; looks at the first entries of all units when `.debug_aranges` does not have it.
    /// `nil` if so many overlap that the file is damaged.
    mutating func find(_ address: UInt64, _ info: DebugInfo) -> Found? {
        guard var found = search(address) else { return nil }
        if found.units.isEmpty {
            if !isComplete {
                complete(info)
                return find(address, info)
            }
            found.units = unbounded
        }
        return found
    }

    /// How many stretches a search looks at; addresses that two units describe are rare.
    private static let searchLimit = 64

    private func search(_ address: UInt64) -> Found? {
        // The first stretch that begins after the address.
        var first = stretches.partitioningIndex { $0.low > address }
        var (low, high) = (UInt64.min, first < stretches.count ? stretches[first].low : .max)
        var units: [UInt64] = []
        var steps = 0
        while first > 0, stretches[first &- 1].reach > address {
            first &-= 1
            steps &+= 1
            guard steps <= UnitMap.searchLimit else { return nil }
            let stretch = stretches[first]
            low = max(low, stretch.high > address ? stretch.low : stretch.high)
            guard stretch.high > address else { continue }
            high = min(high, stretch.high)
            if !units.contains(stretch.unit) { units.append(stretch.unit) }
        }
        if first > 0 { low = max(low, stretches[first &- 1].reach) }
        return Found(units: units, around: low..<max(high, address))
    }

    /// The addresses that these units describe, where no other unit does too.
    func stretches(of units: Set<UInt64>) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for (index, stretch) in stretches.enumerated() where units.contains(stretch.unit) {
            let isAlone =
                (index == 0 || stretches[index - 1].reach <= stretch.low)
                && (index + 1 == stretches.count || stretches[index + 1].low >= stretch.high)
            if isAlone { ranges.append(stretch.low..<stretch.high) }
        }
        return ranges
    }

    private mutating func sort() {
        let order = sortedOrder(stretches.count, key: { stretches[$0].low }, areInOrder: <)
        var reach: UInt64 = 0
        stretches = order.map { index in
            var stretch = stretches[Int(index)]
            reach = max(reach, stretch.high)
            stretch.reach = reach
            return stretch
        }
    }

    // MARK: - Reading

    /// Adds what the units say that were not mentioned so far.
    private mutating func complete(_ info: DebugInfo) {
        isComplete = true
        let mentioned = Set(stretches.map(\.unit))
        // Damaged units could share long lists of ranges.
        var budget = info.size
        for unit in info.units().units where !mentioned.contains(unit.header) {
            guard var entry = info.firstEntry(of: unit), UnitReader.isCompileUnit(&entry) else { continue }
            var isBounded = false
            forEachRange(of: &entry, budget: &budget) { low, high in
                isBounded = true
                if low < high { stretches.append(Stretch(low: low, high: high, unit: unit.header)) }
            }
            if !isBounded { unbounded.append(unit.header) }
        }
        sort()
    }

    /// The stretches of a `.debug_aranges` section; `nil` if it is damaged: then the units are asked.
    private static func readTable(_ table: Bytes) -> [Stretch]? {
        var stretches: [Stretch] = []
        var at: UInt64 = 0
        while at < UInt64(table.count) {
            guard let short: UInt32 = table.load(at) else { return nil }
            let isLong = short == .max
            guard let length = isLong ? table.load(at &+ 4) : UInt64(short),
                let set = table.slice(at, length &+ (isLong ? 12 : 4)),
                readSet(set, isLong: isLong, into: &stretches)
            else { return nil }
            at &+= UInt64(set.count)
        }
        return stretches
    }

    /// Reads the addresses of one unit.
    private static func readSet(_ set: Bytes, isLong: Bool, into stretches: inout [Stretch]) -> Bool {
        let version: UInt64 = isLong ? 12 : 4
        let sizes = version &+ (isLong ? 10 : 6)
        guard set.load(version, as: UInt16.self) == 2,
            let unit = isLong ? set.load(version &+ 2) : set.load(version &+ 2, as: UInt32.self).map(UInt64.init),
            let addressSize: UInt8 = set.load(sizes), addressSize == 4 || addressSize == 8,
            set.load(sizes &+ 1, as: UInt8.self) == 0
        else { return false }
        let width = UInt64(addressSize)
        func number(_ offset: UInt64) -> UInt64? {
            width == 8 ? set.load(offset) : set.load(offset, as: UInt32.self).map(UInt64.init)
        }
        // Pairs are at multiples of their size from the beginning of the set on.
        var at = (sizes &+ 2 &+ 2 &* width &- 1) / (2 &* width) &* (2 &* width)
        while let low = number(at), let size = number(at &+ width) {
            if low == 0 && size == 0 { return true }
            let (high, overflow) = low.addingReportingOverflow(size)
            if !overflow && low < high { stretches.append(Stretch(low: low, high: high, unit: unit)) }
            at &+= 2 &* width
        }
        return true
    }
}

/// Calls `body` with the address ranges of an entry, as long as the budget lasts.
@inline(__always)
func forEachRange(of entry: inout Dwarf_Die, budget: inout Int, _ body: (UInt64, UInt64) -> Void) {
    var (base, low, high) = (Dwarf_Addr(0), Dwarf_Addr(0), Dwarf_Addr(0))
    var offset = dwarf_ranges(&entry, 0, &base, &low, &high)
    while offset > 0, budget > 0 {
        budget &-= 1
        body(low, high)
        offset = dwarf_ranges(&entry, offset, &base, &low, &high)
    }
}
