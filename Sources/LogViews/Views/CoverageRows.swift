// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting

/// Writes the coverage as a table of functions or as rows of functions and lines (``CoverageDump``).
struct CoverageRows: ~Copyable {
    private var rows: RowEncoder
    private let order: CountOrder

    private struct Row {
        var path: String?
        var function: Coverage.Function

        var place: String { "\(path?.onOneLine ?? "??"):\(function.line == 0 ? "?" : String(function.line))" }
    }

    init(to sink: any TextSink, format: RowFormat, order: CountOrder) {
        rows = RowEncoder(to: sink, format: format)
        self.order = order
    }

    /// Writes everything.
    mutating func write(_ coverage: Coverage, logs: [String]) {
        var functions = coverage.files.flatMap { file in
            file.functions.map { Row(path: file.path, function: $0) }
        }
        if order == .count {
            // Those with the same count stay in the order of files and lines.
            functions = functions.enumerated().sorted {
                let (first, second) = ($0.element.function.count, $1.element.function.count)
                return first != second ? first > second : $0.offset < $1.offset
            }.map(\.element)
        }
        switch rows.format {
        case .text: writeTable(functions)
        case .jsonl:
            rows.line(CoverageDump.schema.header(logs: logs))
            writeFields(functions, coverage.files)
        case .csv:
            rows.line(CoverageDump.schema.columnLine())
            writeFields(functions, coverage.files)
        }
        rows.flush()
    }

    private mutating func writeTable(_ functions: [Row]) {
        let width = max(7, functions.reduce(0) { max($0, decimalDigitCount($1.function.count)) })
        rows.text.appendSpaces(width - 7)
        rows.line("entered    lines  reached    share  function")
        for row in functions {
            let function = row.function
            let tenths = function.lines == 0 ? 0 : function.reachedLines * 1000 / function.lines
            let share = function.lines == 0 ? "-" : "\(tenths / 10).\(tenths % 10) %"
            rows.text.appendDecimal(function.count, width: width)
            rows.text.append("  ")
            rows.text.appendDecimal(UInt64(function.lines), width: 7)
            rows.text.append("  ")
            rows.text.appendDecimal(UInt64(function.reachedLines), width: 7)
            rows.text.appendSpaces(9 - share.utf8.count)
            rows.line("\(share)  \((function.demangledName ?? function.name).onOneLine)  \(row.place)")
        }
    }

    /// Writes rows of jsonl or csv.
    private mutating func writeFields(_ functions: [Row], _ files: [Coverage.File]) {
        for row in functions {
            let function = row.function
            rows.begin()
            rows.string("kind", "function")
            rows.string("file", row.path)
            rows.number("line", UInt64(function.line))
            rows.string("name", function.demangledName ?? function.name)
            if rows.format == .jsonl, function.demangledName != nil { rows.string("linkage_name", function.name) }
            rows.counter("count", function.count)
            rows.number("lines", UInt64(function.lines))
            rows.number("reached", UInt64(function.reachedLines))
            rows.end()
        }
        for file in files {
            guard let path = file.path else { continue }
            for line in file.lines {
                rows.begin()
                rows.string("kind", "line")
                rows.string("file", path)
                rows.number("line", UInt64(line.number))
                switch rows.format {
                case .jsonl, .text: rows.counter("count", line.count)
                case .csv:
                    rows.null("name")
                    rows.counter("count", line.count)
                    rows.null("lines")
                    rows.null("reached")
                }
                rows.end()
            }
        }
    }
}
