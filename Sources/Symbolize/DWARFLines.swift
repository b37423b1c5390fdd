// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

/// Collects the line rows of a DWARF file, unit by unit.
struct DWARFLines {
    /// Units whose line program could not be read.
    private(set) var damagedUnits = 0

    private struct Row {
        var address: UInt64
        /// Ends of sequences come before beginnings at the same address, then the order of the file decides.
        var order: UInt32
        var position: SourcePosition
        var isEnd: Bool
    }

    private var rows: [Row] = []
    /// Units that share a line program (partial units) must not repeat it.
    private var seen: Set<OpaquePointer> = []
    private var nameOfText: [UnsafeRawPointer: StringPool.ID] = [:]

    /// Adds the rows of one compilation unit.
    mutating func add(unit: Dwarf_Die, image: borrowing ELFImage, names: inout StringPool) {
        var unit = unit
        var attribute = Dwarf_Attribute()
        guard dwarf_attr(&unit, UInt32(DW_AT_stmt_list), &attribute) != nil else { return }
        var lines: OpaquePointer?
        var count = 0
        guard dwarf_getsrclines(&unit, &lines, &count) == 0, let lines else {
            damagedUnits += 1
            return
        }
        guard seen.insert(lines).inserted else { return }
        var inText = false
        for index in 0..<count {
            guard let line = dwarf_onesrcline(lines, index) else { return }
            var address: Dwarf_Addr = 0
            var isEnd = false
            var number: Int32 = 0
            guard dwarf_lineaddr(line, &address) == 0, dwarf_lineendsequence(line, &isEnd) == 0,
                dwarf_lineno(line, &number) == 0
            else { continue }
            // An end stands one past the code; it counts where its sequence did.
            if !isEnd { inText = image.isText(address) }
            guard inText else { continue }
            let file = isEnd ? 0 : name(dwarf_linesrc(line, nil, nil), &names)
            rows.append(
                Row(
                    address: address, order: UInt32(clamping: rows.count),
                    position: SourcePosition(file: file, line: UInt32(clamping: number)), isEnd: isEnd))
        }
    }

    private mutating func name(_ text: UnsafePointer<CChar>?, _ names: inout StringPool) -> StringPool.ID {
        guard let text else { return 0 }
        let key = UnsafeRawPointer(text)
        if let known = nameOfText[key] { return known }
        let id = names.intern(text)
        nameOfText[key] = id
        return id
    }

    /// The rows as boundaries whose values are indices into `positions`. At one address the last row holds, and the end
    /// of a sequence gives way to the beginning of another.
    mutating func finish() -> (boundaries: [Boundary], positions: [SourcePosition]) {
        rows.sort { ($0.address, $0.isEnd ? 0 : 1, $0.order) < ($1.address, $1.isEnd ? 0 : 1, $1.order) }
        var positions: [SourcePosition] = []
        var indexOf: [SourcePosition: UInt32] = [:]
        var boundaries: [Boundary] = []
        for row in rows {
            var value = Boundary.none
            if !row.isEnd {
                if let known = indexOf[row.position] {
                    value = known
                } else {
                    value = UInt32(clamping: positions.count)
                    indexOf[row.position] = value
                    positions.append(row.position)
                }
            }
            if boundaries.last?.low == row.address { boundaries.removeLast() }
            if (boundaries.last?.value ?? Boundary.none) != value {
                boundaries.append(Boundary(low: row.address, value: value))
            }
        }
        rows = []
        return (boundaries, positions)
    }
}

/// A source file and line (0: not known).
struct SourcePosition: Hashable, Sendable, BitwiseCopyable {
    var file: StringPool.ID
    var line: UInt32
}
