// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import LogFormat
import Symbolize
import ToolSupport

extension CodeMatch {
    /// Warns of symbol files that do not belong to a log: names from them would be nonsense. Looks at a small sample, so
    /// that it costs a command little.
    ///
    /// - Parameter confirmed: Modules of the symbolizer that are known to belong to it.
    static func warn(_ log: LogFile, _ symbolizer: Symbolizer, except confirmed: Set<Int>) throws {
        guard log.header.features.contains(.branches), log.header.machine == 62 || log.header.machine == 3 else {
            return
        }
        let modules = symbolizer.modules.enumerated().filter { !confirmed.contains($0.offset) }.map(\.element)
        let (code, _) = CodeMap.of(modules, machine: log.header.machine)
        try warn(log, code, placeCount: 500)
    }

    /// The same with the files' code.
    public static func warn(_ log: LogFile, _ code: CodeMap, placeCount: Int = 4000) throws {
        guard !code.isEmpty else { return }
        for match in try measure(log, code, placeCount: placeCount) where !match.belongs {
            Diagnostics.warning("\(log.path): \(match)")
        }
    }
}
