// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import LogFormat
import Symbolize
import ToolSupport

/// Warns of symbol files that do not belong to an input: names from them would be nonsense. Looks at a small sample, so
/// that it costs a command little.
struct CodeCheck {
    private let code: CodeMap

    init(_ code: CodeMap) {
        self.code = code
    }

    /// The files of a symbolizer, but for modules that are known to belong to the input.
    init(_ symbolizer: Symbolizer, except confirmed: Set<Int>, machine: UInt16?) {
        let modules = symbolizer.modules.enumerated().filter { !confirmed.contains($0.offset) }.map(\.element)
        code = CodeMap.of(modules, machine: machine).code
    }

    func warn(_ input: BranchInput) throws {
        guard !code.isEmpty else { return }
        let matches: [CodeMatch]
        let path: String
        switch input {
        case .log(let log):
            guard log.header.features.contains(.branches), log.header.machine == 62 || log.header.machine == 3 else {
                return
            }
            path = log.path
            matches = try CodeMatch.measure(log, code, placeCount: 500)
        case .raw(let raw):
            path = raw.path
            matches = try CodeMatch.measure(raw, code, placeCount: 500)
        }
        for match in matches where !match.belongs { Diagnostics.warning("\(path): \(match)") }
    }
}
