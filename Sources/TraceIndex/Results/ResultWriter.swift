// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// Writes the rows of queries to a sink as they come. Addresses are hexadecimal in every format, blobs `x'…'`.
///
///     let writer = ResultWriter(.table, to: sink)
///     try session.run(sql, begin: writer.begin, row: writer.write)
///     writer.finish()
///
/// The formats with aligned columns take their widths from the first 500 rows; a later, wider value shifts its row.
public final class ResultWriter {
    private let format: ResultFormat
    private let sink: any TextSink
    private var columns: [ResultColumn] = []
    private var buffer: [UInt8] = []
    /// The rows that widths are taken from, until there are enough.
    private var first: [[Cell]] = []
    private var widths: [Int] = []
    private var isBegun = false
    private var statementCount = 0

    private static let widthRows = 500
    private static let flushSize = 1 << 16

    /// A value as aligned formats show it.
    private struct Cell {
        var text: String
        var isNumber: Bool
        var width: Int { text.unicodeScalars.count }
    }

    /// Makes a writer; nothing is written before the first ``begin(_:)``.
    public init(_ format: ResultFormat, to sink: any TextSink) {
        self.format = format
        self.sink = sink
    }

    /// Begins the rows of a statement.
    public func begin(_ columns: [ResultColumn]) {
        finish()
        self.columns = columns
        isBegun = true
        statementCount += 1
        switch format {
        case .csv: line(columns.map { RowText.csv($0.name) }.joined(separator: ","))
        case .jsonl: break
        case .table, .markdown, .box: if statementCount > 1 { line("") }
        }
    }

    /// Writes a row. In formats with aligned columns the first rows are kept until the widths are known.
    public func write(_ row: ResultRow) {
        switch format {
        case .csv:
            for index in 0..<row.count {
                if index > 0 { buffer.append(0x2c) }
                append(RowText.csv(text(row, index) ?? ""))
            }
            buffer.append(0x0a)
        case .jsonl:
            buffer.append(0x7b)
            for index in 0..<row.count {
                append(index > 0 ? ",\(RowText.json(columns[index].name)):" : "\(RowText.json(columns[index].name)):")
                append(json(row, index))
            }
            append("}\n")
        case .table, .markdown, .box:
            let cells = (0..<row.count).map { cell(row, $0) }
            if widths.isEmpty {
                first.append(cells)
                if first.count == ResultWriter.widthRows { writeFirst() }
            } else {
                write(cells)
            }
        }
        if buffer.count >= ResultWriter.flushSize { flush() }
    }

    /// Writes the rest of the last statement's rows.
    public func finish() {
        guard isBegun else { return }
        isBegun = false
        if format != .csv, format != .jsonl {
            if widths.isEmpty { writeFirst() }
            if format == .box { line(rule("└", "┴", "┘")) }
        }
        widths = []
        flush()
    }

    private func flush() {
        buffer.withUnsafeBytes { sink.write($0) }
        buffer.removeAll(keepingCapacity: true)
    }

    // MARK: Values

    /// A value as text; nil for NULL.
    private func text(_ row: ResultRow, _ index: Int) -> String? {
        switch row[index] {
        case .null: nil
        case .integer(let number):
            columns[index].isAddress ? RowText.hex(UInt64(bitPattern: number)) : String(number)
        case .real(let number): String(number)
        case .text(let bytes): String(decoding: bytes, as: UTF8.self)
        case .blob(let bytes): ResultWriter.hexadecimal(bytes)
        }
    }

    private func json(_ row: ResultRow, _ index: Int) -> String {
        switch row[index] {
        case .null: return "null"
        case .integer(let number):
            if columns[index].isAddress { return "\"\(RowText.hex(UInt64(bitPattern: number)))\"" }
            return number.magnitude <= 1 << 53 ? String(number) : "\"\(number)\""
        case .real(let number): return number.isFinite ? String(number) : "null"
        default: return RowText.json(text(row, index) ?? "")
        }
    }

    private func cell(_ row: ResultRow, _ index: Int) -> Cell {
        let isNumber =
            switch row[index] {
            case .integer, .real: true
            default: false
            }
        var text = (text(row, index) ?? "").onOneLine
        if format == .markdown {
            text = text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
        }
        return Cell(text: text, isNumber: isNumber)
    }

    private static func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
        "x'" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "'"
    }

    // MARK: Aligned rows

    private func writeFirst() {
        let names = columns.map { $0.name.onOneLine }
        widths = names.indices.map { column in
            first.reduce(max(names[column].unicodeScalars.count, 1)) { max($0, $1[column].width) }
        }
        let header = names.map { Cell(text: $0, isNumber: false) }
        switch format {
        case .box:
            line(rule("┌", "┬", "┐"))
            write(header)
            line(rule("├", "┼", "┤"))
        case .markdown:
            write(header)
            let isNumber = names.indices.map { column in first.first.map { $0[column].isNumber } ?? false }
            line(
                "| " + zip(widths, isNumber).map { $1 ? dashes($0 - 1) + ":" : dashes($0) }.joined(separator: " | ")
                    + " |")
        default:
            write(header)
            line(widths.map(dashes).joined(separator: "  "))
        }
        for cells in first { write(cells) }
        first = []
    }

    private func write(_ cells: [Cell]) {
        let isPlain = format == .table
        let bar = format == .box ? "│" : "|"
        var text = isPlain ? "" : "\(bar) "
        for (index, cell) in cells.enumerated() {
            if index > 0 { text += isPlain ? "  " : " \(bar) " }
            let padding = String(repeating: " ", count: max(0, widths[index] - cell.width))
            let isLast = isPlain && index == cells.count - 1
            text += cell.isNumber ? padding + cell.text : cell.text + (isLast ? "" : padding)
        }
        line(isPlain ? text : text + " \(bar)")
    }

    private func rule(_ left: String, _ middle: String, _ right: String) -> String {
        left + widths.map { String(repeating: "─", count: $0 + 2) }.joined(separator: middle) + right
    }

    private func dashes(_ count: Int) -> String { String(repeating: "-", count: max(1, count)) }

    private func line(_ text: String) {
        append(text)
        buffer.append(0x0a)
    }

    private func append(_ text: String) { buffer.append(contentsOf: text.utf8) }
}
