// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat

/// Rows of distinct branches (``EdgeDump``).
extension BranchRows {
    /// Writes distinct branches, and the rest of the pending rows to the sink.
    mutating func writeEdges(_ pairs: [PairCounts.Pair], logs: [String]) {
        switch format {
        case .text: break
        case .jsonl: rows.line(EdgeDump.schema.header(logs: logs))
        case .csv: rows.line(EdgeDump.schema.columnLine(after: writtenPlaceColumns))
        }
        let width = decimalDigitCount(pairs.reduce(0) { max($0, $1.count) })
        for pair in pairs {
            switch format {
            case .text:
                rows.text.appendDecimal(pair.count, width: width)
                rows.text.append("  ")
                writeTextPath(pair.first, pair.second)
                let label = BranchLabel(rawValue: pair.tag)
                rows.text.appendText(label.isDiscontinuity ? label.name + " *" : label.name)
                rows.endText()
            case .jsonl, .csv:
                rows.begin()
                rows.counter("count", pair.count)
                rows.address("from", pair.first)
                rows.address("to", pair.second)
                writeLabel(pair.tag)
                writePlaces(pair.first, pair.second)
                rows.end()
            }
        }
        rows.flush()
    }
}
