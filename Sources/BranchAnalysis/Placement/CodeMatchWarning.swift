// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import MachineCode
import Symbolize

/// Warns of symbol files that do not belong to an input: names from them would be nonsense. Looks at a small sample, so
/// that it costs a command little.
package struct CodeCheck {
    private let code: CodeMap

    package init(_ code: CodeMap) {
        self.code = code
    }

    /// The files of a symbolizer, but for modules that are known to belong to the input.
    package init(_ symbolizer: Symbolizer, except confirmed: Set<Int>, machine: UInt16?) {
        let modules = symbolizer.modules.enumerated().filter { !confirmed.contains($0.offset) }.map(\.element)
        code = CodeMap.of(modules, machine: machine).code
    }

    package func warn(_ log: LogFile) throws {
        guard !code.isEmpty, log.header.features.contains(.branches),
            log.header.machine == 62 || log.header.machine == 3
        else { return }
        warn(log.path, try CodeMatch.measure(log, code, placeCount: 500))
    }

    package func warn(_ raw: RawBTSFile) throws {
        guard !code.isEmpty else { return }
        warn(raw.path, try CodeMatch.measure(raw, code, placeCount: 500))
    }

    private func warn(_ path: String, _ matches: [CodeMatch]) {
        for match in matches where !match.belongs { Diagnostics.warning("\(path): \(match)") }
    }
}
