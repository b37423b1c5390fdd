// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

/// The layout of a C structure in memory, from the DWARF of a file that uses it.
///
///     let layout = try StructLayout.find("ttd_rec", in: "xen-syms")
///     print(layout?.size, layout?.members.first { $0.name == "cpu_state.ip" }?.offset)
public struct StructLayout: Sendable, Hashable {
    /// A member that is a number or an array of numbers; those of structures inside the structure have a dotted name.
    public struct Member: Sendable, Hashable {
        /// The name, `cpu_state.ip`. Members of an anonymous structure or union have no name before theirs.
        public var name: String
        /// Bytes from the beginning of the structure.
        public var offset: UInt64
        /// Bytes of the member; of an array all elements.
        public var size: UInt64
        /// For a bit field: its lowest bit, counted from `offset`, and its number of bits.
        public var bits: Range<UInt64>?
        /// The names of the values, if the member is an enumeration.
        public var enumerators: [Int64: String] = [:]
    }

    /// Bytes of the structure.
    public var size: UInt64
    /// The members, in the order of the definition.
    public var members: [Member]
    /// The names of the values of each enumeration in the unit that defines the structure.
    public var enumerations: [[Int64: String]]

    /// Finds the first definition of a structure.
    ///
    /// - Parameters:
    ///   - name: The structure's tag.
    ///   - path: An ELF file of any machine with little-endian DWARF.
    /// - Returns: nil if no unit of the file defines such a structure.
    /// - Throws: ``SymbolError`` if the file cannot be read or has no DWARF.
    public static func find(_ name: String, in path: String) throws(SymbolError) -> StructLayout? {
        let image = try ELFImage(path: path, machine: nil, mustBeLinked: false)
        return try find([name], in: image)[name]
    }

    /// The first definitions of several structures, by their names; those that no unit defines are missing.
    static func find(_ names: Set<String>, in image: ELFImage) throws(SymbolError) -> [String: StructLayout] {
        let info = DebugInfo(image, alternate: nil)
        if let refusal = info.refusal { throw refusal }
        guard info.dwarf != nil else { throw SymbolError(file: image.path, kind: .noDWARF) }
        var reader = StructReader()
        var found: [String: StructLayout] = [:]
        for unit in info.units().units {
            for name in names where found[name] == nil {
                guard var entry = info.firstEntry(of: unit) else { break }
                found[name] = reader.find(name, in: &entry)
            }
            if found.count == names.count { break }
        }
        if let change = info.change { throw change }
        return found
    }
}

/// Walks the entries of units, with a bound on all: damaged DWARF can lead in circles.
private struct StructReader {
    /// Entries that may still be read.
    private var budget = 50_000_000
    private static let depthLimit = 6
    private static let memberLimit = 4096

    mutating func find(_ name: String, in unit: inout Dwarf_Die) -> StructLayout? {
        var found: Dwarf_Die?
        forEachChild(of: &unit) { entry in
            guard dwarf_tag(&entry) == DW_TAG_structure_type, StructReader.name(&entry) == name,
                dwarf_hasattr(&entry, UInt32(DW_AT_declaration)) == 0
            else { return true }
            found = entry
            return false
        }
        guard var entry = found, let size = StructReader.number(&entry, DW_AT_byte_size) else { return nil }
        var layout = StructLayout(size: size, members: [], enumerations: [])
        addMembers(of: &entry, prefix: "", base: 0, depth: 0, to: &layout)
        forEachChild(of: &unit) { entry in
            if dwarf_tag(&entry) == DW_TAG_enumeration_type {
                layout.enumerations.append(Dictionary(StructReader.enumerators(&entry)) { first, _ in first })
            }
            return layout.enumerations.count < 1 << 12
        }
        return layout
    }

    private mutating func addMembers(
        of structure: inout Dwarf_Die, prefix: String, base: UInt64, depth: Int, to layout: inout StructLayout
    ) {
        guard depth < StructReader.depthLimit else { return }
        var members: [Dwarf_Die] = []
        forEachChild(of: &structure) { entry in
            if dwarf_tag(&entry) == DW_TAG_member { members.append(entry) }
            return members.count < StructReader.memberLimit
        }
        for var entry in members where layout.members.count < StructReader.memberLimit {
            guard var type = StructReader.type(of: &entry) else { continue }
            let offset = base &+ (StructReader.number(&entry, DW_AT_data_member_location) ?? 0)
            let tag = dwarf_tag(&type)
            let own = StructReader.name(&entry)
            if tag == DW_TAG_structure_type || tag == DW_TAG_union_type {
                let inner = own.map { "\(prefix)\($0)." } ?? prefix
                addMembers(of: &type, prefix: inner, base: offset, depth: depth + 1, to: &layout)
                continue
            }
            guard let own else { continue }
            var member = StructLayout.Member(name: prefix + own, offset: offset, size: StructReader.size(&type))
            if let width = StructReader.number(&entry, DW_AT_bit_size) {
                let first = StructReader.number(&entry, DW_AT_data_bit_offset) ?? 0
                member.offset = base
                member.bits = first..<first &+ min(width, 64)
            }
            if tag == DW_TAG_enumeration_type {
                member.enumerators = Dictionary(StructReader.enumerators(&type)) { first, _ in first }
            }
            layout.members.append(member)
        }
    }

    /// Calls `body` with each child until it returns false.
    private mutating func forEachChild(of entry: inout Dwarf_Die, _ body: (inout Dwarf_Die) -> Bool) {
        var child = Dwarf_Die()
        guard dwarf_child(&entry, &child) == 0 else { return }
        while budget > 0, body(&child) {
            budget -= 1
            var next = Dwarf_Die()
            guard dwarf_siblingof(&child, &next) == 0 else { return }
            child = next
        }
    }

    // MARK: - Attributes

    private static func name(_ entry: inout Dwarf_Die) -> String? {
        dwarf_diename(&entry).map { String(cString: $0) }
    }

    private static func number(_ entry: inout Dwarf_Die, _ attribute: Int) -> UInt64? {
        var form = Dwarf_Attribute()
        var value: Dwarf_Word = 0
        guard dwarf_attr_integrate(&entry, UInt32(attribute), &form) != nil, dwarf_formudata(&form, &value) == 0 else {
            return nil
        }
        return value
    }

    /// The type of an entry, without typedefs and qualifiers.
    private static func type(of entry: inout Dwarf_Die) -> Dwarf_Die? {
        var current = entry
        for _ in 0..<32 {
            var form = Dwarf_Attribute()
            var type = Dwarf_Die()
            guard dwarf_attr_integrate(&current, UInt32(DW_AT_type), &form) != nil,
                dwarf_formref_die(&form, &type) != nil
            else { return nil }
            switch Int(dwarf_tag(&type)) {
            case DW_TAG_typedef, DW_TAG_const_type, DW_TAG_volatile_type: current = type
            default: return type
            }
        }
        return nil
    }

    /// The bytes of a type; 0 if they are not known. An array of unknown length has 0.
    private static func size(_ type: inout Dwarf_Die) -> UInt64 {
        var size: Dwarf_Word = 0
        return dwarf_aggregate_size(&type, &size) == 0 ? size : 0
    }

    private static func enumerators(_ type: inout Dwarf_Die) -> [(Int64, String)] {
        var result: [(Int64, String)] = []
        var child = Dwarf_Die()
        guard dwarf_child(&type, &child) == 0 else { return [] }
        while result.count < 1 << 16 {
            var form = Dwarf_Attribute()
            var value: Dwarf_Sword = 0
            if dwarf_tag(&child) == DW_TAG_enumerator, let name = name(&child),
                dwarf_attr_integrate(&child, UInt32(DW_AT_const_value), &form) != nil,
                dwarf_formsdata(&form, &value) == 0
            {
                result.append((value, name))
            }
            var next = Dwarf_Die()
            guard dwarf_siblingof(&child, &next) == 0 else { break }
            child = next
        }
        return result
    }
}
