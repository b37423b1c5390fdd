// SPDX-License-Identifier: GPL-2.0-or-later

extension DWARFFile {
    /// Calls `body` for each range of an attribute `DW_AT_ranges` (DWARF 5, section 2.17.3; DWARF 4, section 2.17.3),
    /// until it returns `false`. Returns `false` when the list is damaged.
    func forEachRange(_ value: RawValue, _ unit: Unit, _ body: (UInt64, UInt64) -> Bool) -> Bool {
        if unit.header.shape.version < 5 {
            return olderRanges(ranges.from(value.number &+ (isSplit ? unit.rangesBase : 0)), unit, body)
        }
        var offset = value.number
        if value.form == DWARF.Form.rnglistx {
            let size = UInt64(unit.header.shape.offsetSize)
            guard value.number <= UInt64(rangeLists.count) else { return false }
            let at = unit.rangeListsBase &+ value.number &* size
            guard let found = size == 8 ? rangeLists.load(at) : rangeLists.load(at, as: UInt32.self).map(UInt64.init)
            else { return false }
            offset = unit.rangeListsBase &+ found
        }
        return rangeList(rangeLists.from(offset), unit, body)
    }

    private func rangeList(_ list: Bytes, _ unit: Unit, _ body: (UInt64, UInt64) -> Bool) -> Bool {
        var cursor = ByteCursor(list)
        let size = unit.header.shape.addressSize
        var base = unit.lowPC
        while true {
            let low: UInt64
            let high: UInt64
            let kind = cursor.u8()
            switch kind {
            case 0:  // DW_RLE_end_of_list
                return !cursor.isDamaged
            case 1:  // DW_RLE_base_addressx
                base = address(index: cursor.uleb(), unit) ?? 0
                continue
            case 2:  // DW_RLE_startx_endx
                (low, high) = (address(index: cursor.uleb(), unit) ?? 0, address(index: cursor.uleb(), unit) ?? 0)
            case 3:  // DW_RLE_startx_length
                low = address(index: cursor.uleb(), unit) ?? 0
                high = low &+ cursor.uleb()
            case 4:  // DW_RLE_offset_pair
                (low, high) = (base &+ cursor.uleb(), base &+ cursor.uleb())
            case 5:  // DW_RLE_base_address
                base = cursor.number(size: size)
                continue
            case 6:  // DW_RLE_start_end
                (low, high) = (cursor.number(size: size), cursor.number(size: size))
            case 7:  // DW_RLE_start_length
                low = cursor.number(size: size)
                high = low &+ cursor.uleb()
            default:
                return false
            }
            guard !cursor.isDamaged else { return false }
            if !body(low, high) { return true }
        }
    }

    private func olderRanges(_ list: Bytes, _ unit: Unit, _ body: (UInt64, UInt64) -> Bool) -> Bool {
        var cursor = ByteCursor(list)
        let size = unit.header.shape.addressSize
        let highest: UInt64 = size == 8 ? .max : size == 4 ? 0xffff_ffff : 0xffff
        var base = unit.lowPC
        while true {
            let (low, high) = (cursor.number(size: size), cursor.number(size: size))
            guard !cursor.isDamaged else { return false }
            if low == 0 && high == 0 { return true }
            if low == highest {
                base = high
            } else if !body(base &+ low, base &+ high) {
                return true
            }
        }
    }
}
