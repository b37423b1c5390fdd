// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

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

extension UnitReader {
    /// Collects the line rows of a unit; `false` when its line program is damaged.
    ///
    /// libdw sorts the rows of all sequences by address, an end before a beginning. Rows outside of the file's code are
    /// those of functions that the linker dropped.
    mutating func readLines(_ unit: inout Dwarf_Die) -> Bool {
        guard readsLines, dwarf_hasattr(&unit, UInt32(DW_AT_stmt_list)) != 0 else { return true }
        var lines: OpaquePointer?
        var count = 0
        guard rowBudget > 0, dwarf_getsrclines(&unit, &lines, &count) == 0, let lines else { return false }
        guard seenPrograms.insert(lines).inserted else { return true }
        rowBudget &-= count
        var first = rows.count
        var lastEnd: UInt64?
        for index in 0..<count {
            var (address, isEnd, number) = (Dwarf_Addr(0), false, Int32(0))
            guard let line = dwarf_onesrcline(lines, index), dwarf_lineaddr(line, &address) == 0,
                dwarf_lineendsequence(line, &isEnd) == 0, dwarf_lineno(line, &number) == 0
            else { return false }
            if isEnd {
                endSequence(at: address, first: &first)
                lastEnd = address
            } else if address == lastEnd, dwarf_haspc(&unit, address) <= 0 {
                // A row without code that was before the end of its sequence: nothing of this unit is there.
            } else if text.containsSorted(address) {
                let file = intern(file: dwarf_linesrc(line, nil, nil))
                append(LineRow(address: address, file: file, line: UInt32(clamping: number)), first: first)
            }
        }
        // Without its end a sequence has none.
        rows.removeLast(rows.count &- first)
        return true
    }

    /// Adds a row to the sequence that begins at `first`. At one address the last row holds.
    private mutating func append(_ row: LineRow, first: Int) {
        if rows.count > first, rows[rows.count &- 1].address == row.address { rows.removeLast() }
        if rows.count > first {
            let last = rows[rows.count &- 1]
            if last.file == row.file && last.line == row.line { return }
        }
        rows.append(row)
    }

    private mutating func endSequence(at end: UInt64, first: inout Int) {
        if first < rows.count, end > rows[first].address, rows.count < Int(UInt32.max) {
            sequences.append(
                LineSequence(
                    low: rows[first].address, end: end, first: UInt32(first), count: UInt32(rows.count &- first)))
        } else {
            rows.removeLast(rows.count &- first)
        }
        first = rows.count
    }
}
