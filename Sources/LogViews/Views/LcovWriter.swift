// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting

/// Writes the coverage as an lcov tracefile (geninfo(1), "FILES").
struct LcovWriter {
    private let sink: any TextSink

    init(_ sink: any TextSink) { self.sink = sink }

    func write(_ coverage: Coverage) {
        sink.line("TN:")
        for file in coverage.files {
            guard let path = file.path, !file.lines.isEmpty || !file.functions.isEmpty else { continue }
            write(file, path: path)
        }
    }

    private func write(_ file: Coverage.File, path: String) {
        sink.line("SF:\(path.onOneLine)")
        // lcov identifies a function by its name, and accepts each name once in a file and only with a line.
        var functions: [(name: String, line: Int, count: UInt64)] = []
        var places: [String: Int] = [:]
        for function in file.functions where function.line > 0 {
            let name = function.name.onOneLine
            if let place = places[name] {
                functions[place].count &+= function.count
            } else {
                places[name] = functions.count
                functions.append((name, function.line, function.count))
            }
        }
        for function in functions { sink.line("FN:\(function.line),\(function.name)") }
        for function in functions { sink.line("FNDA:\(function.count),\(function.name)") }
        sink.line("FNF:\(functions.count)")
        sink.line("FNH:\(functions.count { $0.count > 0 })")
        for line in file.lines { sink.line("DA:\(line.number),\(line.count)") }
        sink.line("LF:\(file.lines.count)")
        sink.line("LH:\(file.lines.count { $0.count > 0 })")
        sink.line("end_of_record")
    }
}
