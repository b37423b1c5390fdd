// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc

/// Names of functions: the linkage name or else the name, of the entry itself or of what it is a copy of.
extension UnitReader {
    private static let linkageNames = [DW_AT_linkage_name, DW_AT_MIPS_linkage_name]
    private static let allNames = linkageNames + [DW_AT_name]

    /// The name of a function or an inlined copy. If it is no linkage name, `unlinked` tells functions of that name
    /// apart: the address in memory of the entry, or of what it is a copy of; else 0.
    mutating func name(of entry: inout Dwarf_Die, isInlined: Bool) -> (name: StringPool.ID, unlinked: UInt) {
        var attribute = Dwarf_Attribute()
        var origin = Dwarf_Die()
        guard dwarf_attr(&entry, UInt32(DW_AT_abstract_origin), &attribute) != nil,
            dwarf_formref_die(&attribute, &origin) != nil, let key = UnsafeRawPointer(origin.addr)
        else { return integratedName(of: &entry) }
        // A constructor is one abstract function and several concrete ones (C1, C2), each with its own linkage name.
        if !isInlined, let own = ownLinkageName(of: &entry) { return (own, 0) }
        let address = UInt(bitPattern: key)
        if let known = nameOfEntry.find(key) {
            return (known & ~UnitReader.unlinkedMark, known & UnitReader.unlinkedMark != 0 ? address : 0)
        }
        let found = integratedName(of: &origin)
        // A copy may have a name of its own if the original has none.
        guard found.name != 0 else { return integratedName(of: &entry) }
        nameOfEntry.insert(key, found.name | (found.unlinked != 0 ? UnitReader.unlinkedMark : 0))
        return (found.name, found.unlinked != 0 ? address : 0)
    }

    /// Marks a name of ``nameOfEntry`` that is no linkage name. A pool of names has fewer bytes.
    private static let unlinkedMark: UInt32 = 1 << 31

    private mutating func ownLinkageName(of entry: inout Dwarf_Die) -> StringPool.ID? {
        for kind in UnitReader.linkageNames {
            var attribute = Dwarf_Attribute()
            if dwarf_attr(&entry, UInt32(kind), &attribute) != nil, let text = dwarf_formstring(&attribute) {
                return intern(text) { text, names in names.intern(text) }
            }
        }
        return nil
    }

    /// The name of an entry or of what it refers to; libdw follows at most 16 references.
    private mutating func integratedName(of entry: inout Dwarf_Die) -> (name: StringPool.ID, unlinked: UInt) {
        for kind in UnitReader.allNames {
            var attribute = Dwarf_Attribute()
            if dwarf_attr_integrate(&entry, UInt32(kind), &attribute) != nil, let text = dwarf_formstring(&attribute) {
                let name = intern(text) { text, names in names.intern(text) }
                return (name, kind == DW_AT_name ? UInt(bitPattern: entry.addr) : 0)
            }
        }
        return (0, 0)
    }

    /// The id of a source file's name, seen from where the compiler ran: libdw leaves a relative directory of the file
    /// table as it is.
    mutating func intern(file: UnsafePointer<CChar>?) -> StringPool.ID {
        guard let file else { return 0 }
        let directory = directory
        return intern(file) { file, names in names.intern(file: file, directory: directory) }
    }

    /// The id of a string of libdw's, made once for each place in memory.
    @inline(__always)
    private mutating func intern(
        _ text: UnsafePointer<CChar>, _ make: (UnsafePointer<CChar>, inout StringPool) -> StringPool.ID
    ) -> StringPool.ID {
        let key = UnsafeRawPointer(text)
        if let known = nameOfText.find(key) { return known }
        let id = make(text, &names)
        nameOfText.insert(key, id)
        return id
    }
}

extension StringPool {
    /// Interns `directory/file`, or `file` alone where it is absolute or begins with the directory already.
    fileprivate mutating func intern(file: UnsafePointer<CChar>, directory: UnsafePointer<CChar>?) -> ID {
        let slash = CChar(0x2f)
        guard let directory, directory.pointee != 0, file.pointee != slash else { return intern(file) }
        // No path is longer; a damaged file could make each name as long as the file.
        let length = strnlen(directory, 4096)
        if strncmp(file, directory, length) == 0, file[length] == slash { return intern(file) }
        var path = Array(UnsafeRawBufferPointer(start: directory, count: length))
        path.append(0x2f)
        path.append(contentsOf: UnsafeRawBufferPointer(start: file, count: strnlen(file, 4096)))
        return path.withUnsafeBytes { intern($0) }
    }
}

/// The source files of one unit, by their numbers in it.
struct FileTable {
    private var table: OpaquePointer?
    private var count = 0
    /// 0 from version 5 on, 1 before.
    private var firstNumber: UInt64

    /// - Parameter isRead: `false` if the line program must not be read: then the files have no names.
    init(_ unit: inout Dwarf_Die, isRead: Bool) {
        var version: Dwarf_Half = 0
        _ = dwarf_cu_info(unit.cu, &version, nil, nil, nil, nil, nil, nil)
        firstNumber = version >= 5 ? 0 : 1
        if !isRead || dwarf_getsrcfiles(&unit, &table, &count) != 0 { (table, count) = (nil, 0) }
    }

    /// The full name of a file; `nil` if there is no such file.
    func name(_ number: UInt64) -> UnsafePointer<CChar>? {
        guard let table, number >= firstNumber, number < UInt64(count) else { return nil }
        return dwarf_filesrc(table, Int(number), nil, nil)
    }
}
