// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc

/// Names of functions: the linkage name or else the name, of the entry itself or of what it is a copy of.
extension UnitReader {
    /// The name of a function or an inlined copy.
    mutating func name(of entry: inout Dwarf_Die) -> StringPool.ID {
        var attribute = Dwarf_Attribute()
        var origin = Dwarf_Die()
        guard dwarf_attr(&entry, UInt32(DW_AT_abstract_origin), &attribute) != nil,
            dwarf_formref_die(&attribute, &origin) != nil, let key = UnsafeRawPointer(origin.addr)
        else { return integratedName(of: &entry) }
        if let known = nameOfEntry.find(key) { return known }
        let found = integratedName(of: &origin)
        // A copy may have a name of its own where the original has none.
        guard found != 0 else { return integratedName(of: &entry) }
        nameOfEntry.insert(key, found)
        return found
    }

    /// The name of an entry or of what it refers to; libdw follows at most 16 references.
    private mutating func integratedName(of entry: inout Dwarf_Die) -> StringPool.ID {
        for kind in [DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name] {
            var attribute = Dwarf_Attribute()
            if dwarf_attr_integrate(&entry, UInt32(kind), &attribute) != nil, let text = dwarf_formstring(&attribute) {
                return intern(text) { text, names in names.intern(text) }
            }
        }
        return 0
    }

    /// The id of a source file's name, seen from where the compiler ran: libdw leaves a relative directory of the file
    /// table as it is.
    mutating func intern(file: UnsafePointer<CChar>?) -> StringPool.ID {
        guard let file else { return 0 }
        let directory = directory
        return intern(file) { file, names in names.intern(file: file, directory: directory) }
    }

    /// The id of a string of libdw's, made once for each place where one stands.
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

    init(_ unit: inout Dwarf_Die) {
        var version: Dwarf_Half = 0
        _ = dwarf_cu_info(unit.cu, &version, nil, nil, nil, nil, nil, nil)
        firstNumber = version >= 5 ? 0 : 1
        if dwarf_getsrcfiles(&unit, &table, &count) != 0 { (table, count) = (nil, 0) }
    }

    /// The full name of a file; `nil` where there is no such file.
    func name(_ number: UInt64) -> UnsafePointer<CChar>? {
        guard let table, number >= firstNumber, number < UInt64(count) else { return nil }
        return dwarf_filesrc(table, Int(number), nil, nil)
    }
}
