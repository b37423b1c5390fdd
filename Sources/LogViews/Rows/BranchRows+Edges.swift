// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat

/// Rows of distinct branches (``EdgeDump``).
extension BranchRows {
    /// Writes distinct branches instead of branches.
    mutating func writeEdges(_ pairs: [PairCounts.Pair]) {
        if format == .csv { sink.line("count,from,to,label,static,discontinuity" + placeFields) }
        let width = RowBuffer.decimalDigits(pairs.reduce(0) { max($0, $1.count) })
        for pair in pairs {
            reserve()
            switch format {
            case .text:
                rows.decimal(pair.count, width: width)
                rows.text("  ")
                writeTextPath(pair.first, pair.second)
                let label = BranchLabel(rawValue: pair.tag)
                write(Array((label.isDiscontinuity ? label.name + " *" : label.name).utf8))
                rows.byte(0x0a)
            case .jsonl:
                rows.text("{\"count\":\"")
                rows.decimal(pair.count)
                writeJSONPath(pair.first, pair.second)
                writeLabel(pair.tag)
                writeJSONPlaces(pair.first, pair.second)
            case .csv:
                rows.decimal(pair.count)
                writeCSVPath(pair.first, pair.second)
                writeLabel(pair.tag)
                writeCSVPlaces(pair.first, pair.second)
            }
        }
    }
}
