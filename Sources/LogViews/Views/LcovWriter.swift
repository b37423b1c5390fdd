// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting

/// Prints what was reached as an lcov tracefile (geninfo(1), "FILES").
enum LcovWriter {
    static func write(_ coverage: Coverage) {
        Output.standard.line("TN:")
        for file in coverage.files {
            guard let path = file.path, !file.lines.isEmpty || !file.functions.isEmpty else { continue }
            write(file, path: path)
        }
    }

    private static func write(_ file: Coverage.File, path: String) {
        let output = Output.standard
        output.line("SF:\(path.onOneLine)")
        // A function is known by its name: lcov wants each once in a file, and a line that is one.
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
        for function in functions { output.line("FN:\(function.line),\(function.name)") }
        for function in functions { output.line("FNDA:\(function.count),\(function.name)") }
        output.line("FNF:\(functions.count)")
        output.line("FNH:\(functions.count { $0.count > 0 })")
        for line in file.lines { output.line("DA:\(line.number),\(line.count)") }
        output.line("LF:\(file.lines.count)")
        output.line("LH:\(file.lines.count { $0.count > 0 })")
        output.line("end_of_record")
    }
}
