// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// From an address on a source position holds.
struct LineRow: BitwiseCopyable {
    var address: UInt64
    /// A file of the pool of names, 0 when it is not known.
    var file: StringPool.ID
    var line: UInt32
}

/// Rows with ascending addresses that belong together: `rows[first..<first + count]`, and `end` is one past the last
/// instruction.
struct LineSequence: BitwiseCopyable {
    var low: UInt64
    var end: UInt64
    var first: UInt32
    var count: UInt32
}

/// A source file's number made a name, once for each number.
struct FileTable {
    struct Entry {
        var name: UnsafePointer<CChar>?
        var directory: UInt64
        var id: StringPool.ID?
    }

    var directories: [UnsafePointer<CChar>?] = []
    var entries: [Entry] = []
    /// 0 from version 5 on, 1 before.
    var firstNumber: UInt64 = 0
    /// The compilation directory.
    var root: UnsafePointer<CChar>?

    /// The full name of a file; 0 where there is no such file.
    mutating func name(_ number: UInt64, _ names: inout StringPool) -> StringPool.ID {
        let index = number &- firstNumber
        guard index < UInt64(entries.count) else { return 0 }
        let entry = entries[Int(index)]
        if let id = entry.id { return id }
        let id = names.intern(path: entry.name, directory: directory(entry.directory), root: root)
        entries[Int(index)].id = id
        return id
    }

    private func directory(_ number: UInt64) -> UnsafePointer<CChar>? {
        // Number 0 is the compilation directory, which stands in the table from version 5 on.
        guard number > 0 else { return nil }
        let index = number &- firstNumber
        return index < UInt64(directories.count) ? directories[Int(index)] : nil
    }
}

extension StringPool {
    /// Interns `root/directory/name`, each part only where the next is not absolute.
    mutating func intern(
        path name: UnsafePointer<CChar>?, directory: UnsafePointer<CChar>?, root: UnsafePointer<CChar>?
    ) -> ID {
        guard let name, name.pointee != 0 else { return 0 }
        let slash = CChar(0x2f)
        if name.pointee == slash { return intern(name) }
        var path: [UInt8] = []
        func add(_ part: UnsafePointer<CChar>) {
            // No path is longer; a damaged file could make each name as long as the file.
            let length = strnlen(part, 4096)
            path.append(contentsOf: UnsafeRawBufferPointer(start: part, count: length))
        }
        if directory?.pointee != slash, let root, root.pointee != 0 {
            add(root)
            path.append(0x2f)
        }
        if let directory, directory.pointee != 0 {
            add(directory)
            path.append(0x2f)
        }
        add(name)
        return path.withUnsafeBytes { intern($0) }
    }
}

/// A line program (DWARF 5, section 6.2; versions 2 to 5): its header and file table first, its rows when asked for.
struct LineProgram {
    private(set) var files = FileTable()
    private var code: ByteCursor
    private var operandCounts: [UInt8] = []
    private var minimumLength: UInt64 = 1
    private var operationsPerInstruction: UInt64 = 1
    private var lineBase: Int64 = 0
    private var lineRange: UInt64 = 1
    private var firstSpecial: UInt64 = 13
    private var shape: UnitShape
    /// Bytes of the header, tables included.
    let headerSize: Int

    /// Reads the header; `nil` when it is damaged.
    init?(_ file: DWARFFile, at offset: UInt64, unit: Unit) {
        guard let length = UnitHeader.unitLength(file.line, offset),
            let area = file.line.slice(length.body, length.end &- length.body)
        else { return nil }
        var cursor = ByteCursor(area)
        let version = cursor.u16()
        guard version >= 2, version <= 5 else { return nil }
        shape = unit.header.shape
        shape.offsetSize = length.offsetSize
        shape.version = UInt8(version)
        if version >= 5 {
            let addressSize = cursor.u8()
            guard addressSize == 4 || addressSize == 8 || addressSize == 2 else { return nil }
            shape.addressSize = UInt8(addressSize)
            cursor.skip(1)
        }
        let headerLength = cursor.number(size: length.offsetSize)
        let afterLength = cursor.position
        guard headerLength <= UInt64(cursor.remaining) else { return nil }
        headerSize = Int(headerLength)
        code = ByteCursor(from: afterLength + Int(headerLength), to: area.end)
        minimumLength = cursor.u8()
        if version >= 4 { operationsPerInstruction = max(cursor.u8(), 1) }
        cursor.skip(1)
        lineBase = Int64(Int8(truncatingIfNeeded: cursor.u8()))
        lineRange = cursor.u8()
        firstSpecial = cursor.u8()
        guard lineRange > 0, firstSpecial > 0 else { return nil }
        for _ in 1..<max(firstSpecial, 1) { operandCounts.append(UInt8(truncatingIfNeeded: cursor.u8())) }
        if version >= 5 {
            readTables(&cursor, file, unit)
        } else {
            readOlderTables(&cursor, unit)
        }
        guard !cursor.isDamaged else { return nil }
    }

    private mutating func readOlderTables(_ cursor: inout ByteCursor, _ unit: Unit) {
        files.firstNumber = 1
        files.root = unit.directory
        while let text = cursor.string(), text.pointee != 0 { files.directories.append(text) }
        while let text = cursor.string(), text.pointee != 0 {
            files.entries.append(FileTable.Entry(name: text, directory: cursor.uleb()))
            cursor.skipLEB()
            cursor.skipLEB()
        }
    }

    private mutating func readTables(_ cursor: inout ByteCursor, _ file: DWARFFile, _ unit: Unit) {
        for entry in readEntries(&cursor, file, unit) { files.directories.append(entry.name) }
        files.entries = readEntries(&cursor, file, unit)
        files.root = files.directories.first ?? unit.directory
    }

    /// A table whose entries' form is described before them.
    private func readEntries(_ cursor: inout ByteCursor, _ file: DWARFFile, _ unit: Unit) -> [FileTable.Entry] {
        var formats: [(content: UInt64, form: UInt16)] = []
        for _ in 0..<cursor.u8() {
            formats.append((cursor.uleb(), UInt16(truncatingIfNeeded: cursor.uleb())))
        }
        let count = cursor.uleb()
        var entries: [FileTable.Entry] = []
        // Each entry takes a byte at least.
        guard !formats.isEmpty, count <= UInt64(cursor.remaining) else {
            if count > 0 { cursor.skip(Int.max) }
            return []
        }
        for _ in 0..<count {
            var entry = FileTable.Entry(name: nil, directory: 0)
            for (content, form) in formats {
                let value = cursor.value(form: form, implicit: 0, shape)
                switch content {
                case 1: entry.name = file.string(value, unit)  // DW_LNCT_path
                case 2: entry.directory = value.number  // DW_LNCT_directory_index
                default: break
                }
            }
            guard !cursor.isDamaged else { return entries }
            entries.append(entry)
        }
        return entries
    }

    // MARK: - Rows

    private struct Registers {
        var address: UInt64 = 0
        var operation: UInt64 = 0
        var file: UInt64 = 1
        var line: Int64 = 1
    }

    /// Runs the program. Of the rows at one address the last one counts, and rows that say nothing new are left out.
    /// Sequences that `isWanted` refuses by their first address are dropped. Returns `false` when the program is
    /// damaged; what it said before that is kept.
    mutating func run(
        names: inout StringPool, rows: inout [LineRow], sequences: inout [LineSequence], isWanted: (UInt64) -> Bool
    ) -> Bool {
        var registers = Registers()
        var first = rows.count
        var lastFile: UInt64 = .max
        var lastID: StringPool.ID = 0
        /// Whether addresses went backwards within the sequence.
        var isOrdered = true

        func append(_ rows: inout [LineRow], _ names: inout StringPool, _ files: inout FileTable) {
            if registers.file != lastFile {
                lastFile = registers.file
                lastID = files.name(registers.file, &names)
            }
            let row = LineRow(
                address: registers.address, file: lastID, line: UInt32(clamping: registers.line))
            if rows.count > first {
                let last = rows[rows.count &- 1]
                if last.address > row.address { isOrdered = false }
                if last.address == row.address {
                    rows.removeLast()
                    if rows.count > first {
                        let before = rows[rows.count &- 1]
                        if before.file == row.file && before.line == row.line { return }
                    }
                } else if last.file == row.file && last.line == row.line {
                    return
                }
            }
            rows.append(row)
        }
        func endSequence(_ rows: inout [LineRow], _ sequences: inout [LineSequence]) {
            if !isOrdered { rows[first...].sort { $0.address < $1.address } }
            let low = first < rows.count ? rows[first].address : 0
            if first < rows.count, registers.address > low, isWanted(low), rows.count < Int(UInt32.max) {
                sequences.append(
                    LineSequence(
                        low: low, end: registers.address, first: UInt32(first), count: UInt32(rows.count &- first)))
            } else {
                rows.removeLast(rows.count &- first)
            }
            first = rows.count
            registers = Registers()
            isOrdered = true
        }
        func advance(_ operations: UInt64) {
            if operationsPerInstruction == 1 {
                registers.address &+= minimumLength &* operations
            } else {
                let total = registers.operation &+ operations
                registers.address &+= minimumLength &* (total / operationsPerInstruction)
                registers.operation = total % operationsPerInstruction
            }
        }

        var cursor = code
        while !cursor.isAtEnd {
            let opcode = cursor.u8()
            if opcode >= firstSpecial {
                let adjusted = opcode &- firstSpecial
                advance(adjusted / lineRange)
                registers.line &+= lineBase &+ Int64(adjusted % lineRange)
                append(&rows, &names, &files)
                continue
            }
            switch opcode {
            case 0:
                let length = cursor.uleb()
                let start = cursor.position
                guard length > 0, length <= UInt64(cursor.remaining) else { return false }
                switch cursor.u8() {
                case 1: endSequence(&rows, &sequences)  // DW_LNE_end_sequence
                case 2:  // DW_LNE_set_address
                    let size = UInt8(truncatingIfNeeded: length &- 1)
                    registers.address = cursor.number(size: size)
                    registers.operation = 0
                case 3:  // DW_LNE_define_file
                    if let name = cursor.string() {
                        files.entries.append(FileTable.Entry(name: name, directory: cursor.uleb()))
                    }
                default: break
                }
                cursor = ByteCursor(from: start + Int(length), to: cursor.end)
            case 1: append(&rows, &names, &files)  // DW_LNS_copy
            case 2: advance(cursor.uleb())  // DW_LNS_advance_pc
            case 3: registers.line &+= cursor.sleb()  // DW_LNS_advance_line
            case 4: registers.file = cursor.uleb()  // DW_LNS_set_file
            case 8: advance((255 &- firstSpecial) / lineRange)  // DW_LNS_const_add_pc
            case 9:  // DW_LNS_fixed_advance_pc
                registers.address &+= cursor.u16()
                registers.operation = 0
            default:
                for _ in 0..<operandCounts[Int(opcode) &- 1] { cursor.skipLEB() }
            }
        }
        // Without its end a sequence has none.
        rows.removeLast(rows.count &- first)
        return !cursor.isDamaged
    }
}
