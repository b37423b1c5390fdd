// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting

/// Writes what was reached as a table of functions or as rows of functions and lines (``CoverageDump``).
struct CoverageRows {
    let sink: any TextSink
    let format: RowFormat
    let order: CountOrder

    private struct Row {
        var path: String?
        var function: Coverage.Function

        var place: String { "\(path?.onOneLine ?? "??"):\(function.line == 0 ? "?" : String(function.line))" }
    }

    func write(_ coverage: Coverage, paths: [String]) {
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
        switch format {
        case .text: writeTable(functions)
        case .jsonl: writeObjects(functions, coverage.files, paths)
        case .csv: writeFields(functions, coverage.files)
        }
    }

    private func writeTable(_ rows: [Row]) {
        let width = max(7, rows.reduce(0) { max($0, String($1.function.count).utf8.count) })
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.utf8.count)) + text
        }
        sink.line("\(right("entered", width))    lines  reached    share  function")
        for row in rows {
            let function = row.function
            let tenths = function.lines == 0 ? 0 : function.reachedLines * 1000 / function.lines
            let share = function.lines == 0 ? "-" : "\(tenths / 10).\(tenths % 10) %"
            sink.line(
                "\(right(String(function.count), width))  \(right(String(function.lines), 7))  "
                    + "\(right(String(function.reachedLines), 7))  \(right(share, 7))  "
                    + "\(function.name.onOneLine)  \(row.place)")
        }
    }

    private func writeObjects(_ rows: [Row], _ files: [Coverage.File], _ paths: [String]) {
        sink.line(
            "{\"schema\":\"bts-dump coverage\",\"version\":\(CoverageDump.schemaVersion),"
                + "\"logs\":[\(paths.map(RowText.json).joined(separator: ","))]}")
        for row in rows {
            let function = row.function
            sink.line(
                "{\"kind\":\"function\",\"name\":\(RowText.json(function.name)),"
                    + "\"file\":\(row.path.map(RowText.json) ?? "null"),\"line\":\(function.line),"
                    + "\"count\":\"\(function.count)\",\"lines\":\(function.lines),"
                    + "\"reached\":\(function.reachedLines)}")
        }
        for file in files {
            guard let path = file.path.map(RowText.json) else { continue }
            for line in file.lines {
                sink.line("{\"kind\":\"line\",\"file\":\(path),\"line\":\(line.number),\"count\":\"\(line.count)\"}")
            }
        }
    }

    private func writeFields(_ rows: [Row], _ files: [Coverage.File]) {
        sink.line("kind,file,line,name,count,lines,reached")
        for row in rows {
            let function = row.function
            sink.line(
                "function,\(RowText.csv(row.path ?? "")),\(function.line),\(RowText.csv(function.name)),"
                    + "\(function.count),\(function.lines),\(function.reachedLines)")
        }
        for file in files {
            guard let path = file.path.map(RowText.csv) else { continue }
            for line in file.lines { sink.line("line,\(path),\(line.number),,\(line.count),,") }
        }
    }
}
