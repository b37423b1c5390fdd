// SPDX-License-Identifier: GPL-2.0-or-later

/// What an entry says about its name, itself or through another entry.
struct EntryNames {
    var name = RawValue()
    var linkageName = RawValue()
    var origin = RawValue()

    mutating func note(_ attribute: UInt16, _ value: RawValue) {
        switch attribute {
        case DWARF.Attribute.name: name = value
        case DWARF.Attribute.linkageName, DWARF.Attribute.mipsLinkageName: linkageName = value
        case DWARF.Attribute.abstractOrigin, DWARF.Attribute.specification: origin = value
        default: break
        }
    }
}

/// Names of functions: the linkage name or else the name, of the entry itself or of what it is a copy of.
extension UnitReader {
    /// Longer chains of copies of copies are damage.
    private static let chainLimit = 16

    /// Where an entry stands, and what is needed to read it.
    private struct Place {
        var entry: UnsafeRawPointer
        var unit: Unit
        var file: DWARFFile
    }

    /// The name of an entry whose attributes have been read.
    mutating func name(
        _ entry: EntryNames, of place: UnsafeRawPointer, _ unit: Unit, _ file: DWARFFile
    ) -> StringPool.ID {
        if entry.linkageName.isPresent { return text(entry.linkageName, unit, file) }
        guard entry.origin.isPresent, let origin = resolve(entry.origin, unit, file) else {
            return text(entry.name, unit, file)
        }
        if let known = nameOfEntry.find(origin.entry) { return known }
        let found = name(behind: origin)
        // A copy may have a name of its own where the original has none.
        guard found != 0 else { return text(entry.name, unit, file) }
        nameOfEntry.insert(origin.entry, found)
        return found
    }

    /// Follows the references from an entry: the first linkage name, else the first name.
    private mutating func name(behind first: Place) -> StringPool.ID {
        var place = first
        var best: StringPool.ID = 0
        for _ in 0..<UnitReader.chainLimit {
            guard let entry = read(place) else { return best }
            if entry.linkageName.isPresent { return text(entry.linkageName, place.unit, place.file) }
            if best == 0 { best = text(entry.name, place.unit, place.file) }
            guard entry.origin.isPresent, let next = resolve(entry.origin, place.unit, place.file) else { return best }
            place = next
        }
        return best
    }

    private mutating func read(_ place: Place) -> EntryNames? {
        var cursor = ByteCursor(from: place.entry, to: place.unit.end)
        guard let declaration = abbreviations.find(cursor.uleb(), in: place.unit.table) else { return nil }
        var names = EntryNames()
        for index in 0..<Int(declaration.attributeCount) {
            let attribute = abbreviations.attributes[Int(declaration.firstAttribute) &+ index]
            let value = cursor.value(form: attribute.form, implicit: attribute.implicit, place.unit.header.shape)
            names.note(attribute.name, value)
        }
        return cursor.isDamaged ? nil : names
    }

    /// The entry that a reference means.
    private mutating func resolve(_ reference: RawValue, _ unit: Unit, _ file: DWARFFile) -> Place? {
        switch reference.form {
        case DWARF.Form.ref1, DWARF.Form.ref2, DWARF.Form.ref4, DWARF.Form.ref8, DWARF.Form.refUdata:
            let size = unit.header.end &- unit.header.start
            guard reference.number < size else { return nil }
            let offset = unit.header.start &+ reference.number
            guard offset >= unit.header.entries else { return nil }
            return Place(entry: file.info.start + Int(offset), unit: unit, file: file)
        case DWARF.Form.refAddr:
            return resolve(offset: reference.number, in: file)
        case DWARF.Form.gnuRefAlt, DWARF.Form.refSup4, DWARF.Form.refSup8:
            guard let alternate = file.alternate else { return nil }
            return resolve(offset: reference.number, in: alternate)
        default:
            return nil
        }
    }

    private mutating func resolve(offset: UInt64, in file: DWARFFile) -> Place? {
        guard let header = file.unit(containing: offset), offset >= header.entries else { return nil }
        let start = file.info.start + Int(header.start)
        let unit: Unit
        if let known = foreignUnits[start] {
            unit = known
        } else {
            guard let read = Unit(header, in: file, &abbreviations) else { return nil }
            foreignUnits[start] = read
            unit = read
        }
        return Place(entry: file.info.start + Int(offset), unit: unit, file: file)
    }

    private mutating func text(_ value: RawValue, _ unit: Unit, _ file: DWARFFile) -> StringPool.ID {
        guard value.isPresent, let text = file.string(value, unit) else { return 0 }
        let key = UnsafeRawPointer(text)
        if let known = nameOfText.find(key) { return known }
        let id = names.intern(text)
        nameOfText.insert(key, id)
        return id
    }
}
