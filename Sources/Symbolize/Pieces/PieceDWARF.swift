// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

/// Bytes of a file that is being made, little-endian.
struct PieceBytes {
    private(set) var bytes: [UInt8] = []
    /// The bytes of an address.
    let addressSize: Int

    var count: Int { bytes.count }

    init(addressSize: Int = 8) { self.addressSize = addressSize }

    mutating func put(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ more: [UInt8]) { bytes += more }

    mutating func put(text: String) {
        bytes += text.utf8.filter { $0 != 0 }
        bytes.append(0)
    }

    mutating func put(address: UInt64) {
        if addressSize == 8 { put(address) } else { put(UInt32(truncatingIfNeeded: address)) }
    }

    mutating func put(unsigned value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func put(signed value: Int64) {
        var rest = value
        while !(-64..<64).contains(rest) {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest) & 0x7f)
    }

    mutating func align(to size: Int) {
        while bytes.count % size != 0 { bytes.append(0) }
    }

    mutating func set(_ value: UInt32, at offset: Int) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
    }
}

/// Texts, each once, named by their offsets.
struct PieceStrings {
    private(set) var bytes: [UInt8] = [0]
    private var offsets: [String: UInt32] = ["": 0]

    mutating func offset(of text: String) -> UInt32 {
        if let known = offsets[text] { return known }
        let offset = UInt32(truncatingIfNeeded: bytes.count)
        bytes += text.utf8.filter { $0 != 0 } + [0]
        offsets[text] = offset
        return offset
    }
}

/// The debug sections of a piece: one unit with all functions, in DWARF 4.
///
/// The sections have no types and no variables. Inlined copies refer to an abstract function, as debuggers expect.
struct PieceDWARF {
    private(set) var info: PieceBytes
    private(set) var ranges: PieceBytes
    private(set) var abbreviations = PieceBytes()
    private(set) var strings = PieceStrings()
    private(set) var lines: PieceBytes
    /// Which addresses the unit describes: libdwfl finds units by this table alone.
    private(set) var addresses: PieceBytes
    private var abbreviationCodes: [[UInt16]: UInt64] = [:]
    private var files: [String: UInt64] = [:]
    private var abstractFunctions: [String: UInt32] = [:]

    private static let version: UInt16 = 4

    init(_ piece: SymbolPiece) {
        let addressSize = piece.is64 ? 8 : 4
        info = PieceBytes(addressSize: addressSize)
        ranges = PieceBytes(addressSize: addressSize)
        lines = PieceBytes(addressSize: addressSize)
        addresses = PieceBytes(addressSize: addressSize)
        for file in piece.sourceFiles { files[file] = UInt64(files.count + 1) }
        writeLines(piece)
        writeUnit(piece)
        writeAddresses(piece)
        abbreviations.put(UInt8(0))
    }

    // MARK: - Entries

    private mutating func writeUnit(_ piece: SymbolPiece) {
        info.put(UInt32(0))
        info.put(PieceDWARF.version)
        info.put(UInt32(0))
        info.put(UInt8(info.addressSize))
        begin(
            DW_TAG_compile_unit, hasChildren: true,
            [
                (DW_AT_name, DW_FORM_strp), (DW_AT_language, DW_FORM_data2), (DW_AT_stmt_list, DW_FORM_sec_offset),
                (DW_AT_low_pc, DW_FORM_addr), (DW_AT_ranges, DW_FORM_sec_offset),
            ])
        info.put(strings.offset(of: "a part of a symbol file"))
        // C: a reader does not look for functions in types.
        info.put(UInt16(DW_LANG_C99))
        info.put(UInt32(0))
        info.put(address: 0)
        info.put(add(piece.ranges))
        for name in Set(piece.nodes.filter { $0.parent != nil && !$0.name.isEmpty }.map(\.name)).sorted() {
            abstractFunctions[name] = UInt32(info.count)
            begin(
                DW_TAG_subprogram, hasChildren: false, [(DW_AT_name, DW_FORM_strp), (DW_AT_inline, DW_FORM_data1)])
            info.put(strings.offset(of: name))
            info.put(UInt8(DW_INL_inlined))
        }
        var children = [[Int]](repeating: [], count: piece.nodes.count)
        for (index, node) in piece.nodes.enumerated() {
            if let parent = node.parent { children[parent].append(index) }
        }
        for (index, node) in piece.nodes.enumerated() where node.parent == nil { write(index, piece.nodes, children) }
        info.put(UInt8(0))
        info.set(UInt32(info.count - 4), at: 0)
    }

    /// Writes a function or a copy, and what is inlined into it. No deeper than ``SymbolTable/chainLimit``.
    private mutating func write(_ index: Int, _ nodes: [SymbolPiece.Node], _ children: [[Int]]) {
        let node = nodes[index]
        let origin = node.parent == nil ? nil : abstractFunctions[node.name]
        var attributes: [(Int, Int)] = []
        if origin != nil {
            attributes.append((DW_AT_abstract_origin, DW_FORM_ref4))
        } else if !node.name.isEmpty {
            attributes.append((DW_AT_name, DW_FORM_strp))
        }
        let isOne = node.ranges.count == 1
        attributes +=
            isOne
            ? [(DW_AT_low_pc, DW_FORM_addr), (DW_AT_high_pc, DW_FORM_udata)] : [(DW_AT_ranges, DW_FORM_sec_offset)]
        if node.parent != nil {
            attributes += [(DW_AT_call_file, DW_FORM_udata), (DW_AT_call_line, DW_FORM_udata)]
        }
        begin(
            node.parent == nil ? DW_TAG_subprogram : DW_TAG_inlined_subroutine, hasChildren: !children[index].isEmpty,
            attributes)
        if let origin { info.put(origin) } else if !node.name.isEmpty { info.put(strings.offset(of: node.name)) }
        if isOne {
            info.put(address: node.ranges[0].lowerBound)
            info.put(unsigned: node.ranges[0].upperBound - node.ranges[0].lowerBound)
        } else {
            info.put(add(node.ranges))
        }
        if node.parent != nil {
            info.put(unsigned: files[node.callFile] ?? 0)
            info.put(unsigned: UInt64(node.callLine))
        }
        guard !children[index].isEmpty else { return }
        for child in children[index] { write(child, nodes, children) }
        info.put(UInt8(0))
    }

    /// Begins an entry: the values of its attributes follow, in their order.
    private mutating func begin(_ tag: Int, hasChildren: Bool, _ attributes: [(name: Int, form: Int)]) {
        var key = [UInt16(truncatingIfNeeded: tag), hasChildren ? 1 : 0]
        for attribute in attributes {
            key += [UInt16(truncatingIfNeeded: attribute.name), UInt16(truncatingIfNeeded: attribute.form)]
        }
        if abbreviationCodes[key] == nil {
            let code = UInt64(abbreviationCodes.count + 1)
            abbreviationCodes[key] = code
            abbreviations.put(unsigned: code)
            abbreviations.put(unsigned: UInt64(tag))
            abbreviations.put(UInt8(hasChildren ? DW_CHILDREN_yes : DW_CHILDREN_no))
            for word in key.dropFirst(2) { abbreviations.put(unsigned: UInt64(word)) }
            abbreviations.put(UInt16(0))
        }
        info.put(unsigned: abbreviationCodes[key] ?? 0)
    }

    /// Adds a list of ranges; returns its offset.
    private mutating func add(_ list: [Range<UInt64>]) -> UInt32 {
        let offset = UInt32(truncatingIfNeeded: ranges.count)
        for range in list {
            ranges.put(address: range.lowerBound)
            ranges.put(address: range.upperBound)
        }
        ranges.put(address: 0)
        ranges.put(address: 0)
        return offset
    }

    private mutating func writeAddresses(_ piece: SymbolPiece) {
        addresses.put(UInt32(0))
        addresses.put(UInt16(2))
        addresses.put(UInt32(0))
        addresses.put([UInt8(addresses.addressSize), 0])
        addresses.align(to: 2 * addresses.addressSize)
        for range in piece.ranges {
            addresses.put(address: range.lowerBound)
            addresses.put(address: range.upperBound - range.lowerBound)
        }
        addresses.put(address: 0)
        addresses.put(address: 0)
        addresses.set(UInt32(addresses.count - 4), at: 0)
    }

    // MARK: - Lines

    /// The operands of the standard opcodes 1 to 12 (DWARF 4, 6.2.4).
    private static let operandCounts: [UInt8] = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]

    private mutating func writeLines(_ piece: SymbolPiece) {
        lines.put(UInt32(0))
        lines.put(PieceDWARF.version)
        let lengthAt = lines.count
        lines.put(UInt32(0))
        // The length of an instruction, operations, is_stmt, line base, line range, opcode base.
        lines.put([1, 1, 1, UInt8(bitPattern: -5), 14, 13] + PieceDWARF.operandCounts + [0])
        for file in piece.sourceFiles {
            lines.put(text: file)
            lines.put([0, 0, 0])
        }
        lines.put(UInt8(0))
        lines.set(UInt32(lines.count - lengthAt - 4), at: lengthAt)
        var (file, line) = (1 as UInt64, 1 as Int64)
        var end: UInt64?
        for row in piece.lines {
            if row.range.lowerBound != end {
                if end != nil { endSequence() }
                (file, line) = (1, 1)
                lines.put([0, UInt8(1 + lines.addressSize), UInt8(DW_LNE_set_address)])
                lines.put(address: row.range.lowerBound)
            }
            let wanted = files[row.file] ?? 0
            if wanted != file {
                lines.put(UInt8(DW_LNS_set_file))
                lines.put(unsigned: wanted)
            }
            if Int64(row.line) != line {
                lines.put(UInt8(DW_LNS_advance_line))
                lines.put(signed: Int64(row.line) - line)
            }
            lines.put(UInt8(DW_LNS_copy))
            lines.put(UInt8(DW_LNS_advance_pc))
            lines.put(unsigned: row.range.upperBound - row.range.lowerBound)
            (file, line, end) = (wanted, Int64(row.line), row.range.upperBound)
        }
        if end != nil { endSequence() }
        lines.set(UInt32(lines.count - 4), at: 0)
    }

    private mutating func endSequence() { lines.put([0, 1, UInt8(DW_LNE_end_sequence)]) }
}
