// SPDX-License-Identifier: GPL-2.0-or-later

/// Rows of comma-separated values (RFC 4180) whose first line names the columns.
struct CSVRows {
    /// What a line is.
    enum Line {
        case row
        /// A line of names: the columns of the rows after it.
        case header
        /// A quoted field goes on in the next line.
        case unfinished
        case damaged(String)
    }

    private var columns: [RowColumn.Target] = []
    /// The fields of the line that was split last.
    private var line: [RowCell] = []

    /// Reads a line into cells.
    mutating func read(_ text: UnsafeRawBufferPointer, into cells: inout RowCells) -> Line {
        cells.clear()
        guard split(text) else { return .unfinished }
        if columns.isEmpty || line.count != columns.count || isHeader(text) {
            if let names = CSVRows.header(line) {
                columns = names
                return .header
            }
            return .damaged("\(columns.count) fields expected, \(line.count) found")
        }
        for index in line.indices {
            cells.set(columns[index], line[index])
        }
        return .row
    }

    /// Whether a line repeats a header: it begins with a name where a number is expected.
    private func isHeader(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let first = text.first, first | 0x20 >= 0x61, first | 0x20 <= 0x7a else { return false }
        return CSVRows.header(line) != nil
    }

    /// The columns of a header; nil if the line is none, or names those of rows that are no records.
    private static func header(_ line: [RowCell]) -> [RowColumn.Target]? {
        let names = line.map { RowNames.target($0.bytes) }
        let known = Set(names)
        let isBranches = known.isSuperset(of: [.column(.from), .column(.to)])
        guard isBranches || known.contains(.column(.kind)), !known.contains(.column(.count)) else { return nil }
        return names
    }

    /// Splits a line into fields. Returns false if it ends inside quotes.
    private mutating func split(_ text: UnsafeRawBufferPointer) -> Bool {
        line.removeAll(keepingCapacity: true)
        guard let start = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return true }
        var index = 0
        while true {
            var cell = RowCell()
            if index < text.count, start[index] == 0x22 {
                let first = index &+ 1
                index = first
                while true {
                    while index < text.count, start[index] != 0x22 { index &+= 1 }
                    guard index < text.count else { return false }
                    guard index &+ 1 < text.count, start[index &+ 1] == 0x22 else { break }
                    cell.hasEscapes = true
                    index &+= 2
                }
                (cell.start, cell.count) = (start + first, index &- first)
                index &+= 1
                while index < text.count, start[index] != 0x2c { index &+= 1 }
            } else {
                let first = index
                while index < text.count, start[index] != 0x2c { index &+= 1 }
                (cell.start, cell.count) = (start + first, index &- first)
            }
            line.append(cell)
            guard index < text.count else { return true }
            index &+= 1
        }
    }

    // MARK: - Recognition

    /// Whether the first line of a file is a header of rows that can be imported.
    static func isHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        var rows = CSVRows()
        return rows.split(line) && header(rows.line) != nil
    }
}
