// SPDX-License-Identifier: GPL-2.0-or-later

/// A unit, ready to be walked: its header, its abbreviations, and the bases that its indices count from.
struct Unit {
    let header: UnitHeader
    let table: Abbreviations.Table
    var addressBase: UInt64 = 0
    var stringOffsetsBase: UInt64 = 0
    var rangeListsBase: UInt64 = 0
    /// Version 4 split units: what offsets of ranges count from.
    var rangesBase: UInt64 = 0
    /// The base of range lists.
    var lowPC: UInt64 = 0
    var tag: UInt16 = 0
    /// DW_LANG_…
    var language: UInt64 = 0
    var lineProgram: UInt64?
    var directory: UnsafePointer<CChar>?
    var name: UnsafePointer<CChar>?
    var splitName: UnsafePointer<CChar>?
    var splitID: UInt64 = 0
    /// Where the entry behind the unit's own stands; `nil` when it has no children.
    var children: UnsafeRawPointer?
    let end: UnsafeRawPointer

    /// Reads the unit's own entry; `nil` when it is damaged.
    ///
    /// - Parameter skeleton: The unit of the program that a split unit belongs to.
    init?(
        _ header: UnitHeader, in file: DWARFFile, _ abbreviations: inout Abbreviations, skeleton: Unit? = nil
    ) {
        guard let table = abbreviations.table(file.abbreviations, at: header.abbreviations, header.shape),
            let area = file.info.slice(header.entries, header.end &- header.entries)
        else { return nil }
        self.header = header
        self.table = table
        end = area.end
        splitID = header.splitID
        var cursor = ByteCursor(area)
        guard let declaration = abbreviations.find(cursor.uleb(), in: table) else { return nil }
        tag = declaration.tag
        if let skeleton {
            addressBase = skeleton.addressBase
            rangesBase = skeleton.rangesBase
            lowPC = skeleton.lowPC
            directory = skeleton.directory
        }
        // In split units the tables begin behind their headers.
        if header.shape.version >= 5 {
            stringOffsetsBase = header.shape.offsetSize == 8 ? 16 : 8
            rangeListsBase = header.shape.offsetSize == 8 ? 20 : 12
        }
        var low = RawValue()
        var texts: (name: RawValue, directory: RawValue, split: RawValue) = (RawValue(), RawValue(), RawValue())
        for index in 0..<Int(declaration.attributeCount) {
            let attribute = abbreviations.attributes[Int(declaration.firstAttribute) &+ index]
            let value = cursor.value(form: attribute.form, implicit: attribute.implicit, header.shape)
            switch attribute.name {
            case DWARF.Attribute.lowPC: low = value
            case DWARF.Attribute.name: texts.name = value
            case DWARF.Attribute.compilationDirectory: texts.directory = value
            case DWARF.Attribute.splitName, DWARF.Attribute.gnuSplitName: texts.split = value
            case DWARF.Attribute.language: language = value.number
            case DWARF.Attribute.lineProgram: lineProgram = value.number
            case DWARF.Attribute.addressBase, DWARF.Attribute.gnuAddressBase: addressBase = value.number
            case DWARF.Attribute.stringOffsetsBase: stringOffsetsBase = value.number
            case DWARF.Attribute.rangeListsBase: rangeListsBase = value.number
            case DWARF.Attribute.gnuRangesBase: rangesBase = value.number
            case DWARF.Attribute.gnuSplitID: splitID = value.number
            default: break
            }
        }
        guard !cursor.isDamaged else { return nil }
        children = declaration.hasChildren ? cursor.position : nil
        if low.isPresent { lowPC = file.address(low, self) ?? 0 }
        name = file.string(texts.name, self)
        directory = file.string(texts.directory, self) ?? directory
        splitName = file.string(texts.split, self)
    }

    /// Whether functions can stand inside of types: everywhere but in assembly (none, 0x8001) and C.
    var hasFunctionsInTypes: Bool {
        switch language {
        case 0, 0x01, 0x02, 0x0c, 0x1d, 0x2c, 0x8001: false
        default: true
        }
    }
}

extension DWARFFile {
    /// The address that an attribute gives, directly or by index.
    func address(_ value: RawValue, _ unit: Unit) -> UInt64? {
        switch value.form {
        case DWARF.Form.addr:
            return value.number
        case DWARF.Form.addrx, DWARF.Form.addrx1, DWARF.Form.addrx2, DWARF.Form.addrx3, DWARF.Form.addrx4,
            DWARF.Form.gnuAddrIndex:
            return address(index: value.number, unit)
        default:
            return nil
        }
    }

    /// Entry `index` of the unit's part of `.debug_addr`.
    func address(index: UInt64, _ unit: Unit) -> UInt64? {
        let size = unit.header.shape.addressSize
        guard index <= UInt64(addresses.count) else { return nil }
        let offset = unit.addressBase &+ index &* UInt64(size)
        return size == 8 ? addresses.load(offset) : addresses.load(offset, as: UInt32.self).map(UInt64.init)
    }

    /// The string that an attribute gives.
    func string(_ value: RawValue, _ unit: Unit) -> UnsafePointer<CChar>? {
        switch value.form {
        case DWARF.Form.string:
            return UnsafePointer(bitPattern: UInt(truncatingIfNeeded: value.number))
        case DWARF.Form.strp:
            return strings.string(value.number)
        case DWARF.Form.lineStrp:
            return lineStrings.string(value.number)
        case DWARF.Form.strpSup, DWARF.Form.gnuStrpAlt:
            return alternate?.strings.string(value.number)
        case DWARF.Form.strx, DWARF.Form.strx1, DWARF.Form.strx2, DWARF.Form.strx3, DWARF.Form.strx4,
            DWARF.Form.gnuStrIndex:
            guard value.number <= UInt64(stringOffsets.count) else { return nil }
            let size = UInt64(unit.header.shape.offsetSize)
            let at = unit.stringOffsetsBase &+ value.number &* size
            let offset = size == 8 ? stringOffsets.load(at) : stringOffsets.load(at, as: UInt32.self).map(UInt64.init)
            return offset.flatMap { strings.string($0) }
        default:
            return nil
        }
    }
}
