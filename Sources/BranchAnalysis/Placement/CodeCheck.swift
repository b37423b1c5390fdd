// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import MachineCode
import Symbolize

/// Checks whether symbol files belong to an input: names from other files would be wrong.
///
/// The check looks at a sample of at most 500 places for each file, so that it adds little to a command.
public struct CodeCheck: Sendable {
    private let code: CodeMap

    /// Checks the files of a map.
    public init(_ code: CodeMap) {
        self.code = code
    }

    /// Checks the files of a symbolizer.
    ///
    /// - Parameters:
    ///   - confirmed: Indices of modules that are known to belong to the input; they are left out.
    ///   - machine: The processor of the input; files for another one are left out. `nil`: any.
    public init(_ symbolizer: Symbolizer, except confirmed: Set<Int>, machine: Machine?) {
        let modules = symbolizer.modules.enumerated().filter { !confirmed.contains($0.offset) }.map(\.element)
        code = CodeMap.of(modules, machine: machine).code
    }

    /// A warning for each file that does not belong to a log. Empty if the log has no branches of x86 code.
    public func notices(for log: LogFile) throws(DisassemblerError) -> [Notice] {
        guard !code.isEmpty, log.header.features.contains(.branches),
            log.header.machine.isX86
        else { return [] }
        return CodeCheck.notices(log.path, try CodeMatch.measure(log, code, placeCount: 500))
    }

    /// A warning for each file that does not belong to raw records.
    public func notices(for raw: RawBTSFile) throws(DisassemblerError) -> [Notice] {
        guard !code.isEmpty else { return [] }
        return CodeCheck.notices(raw.path, try CodeMatch.measure(raw, code, placeCount: 500))
    }

    private static func notices(_ path: String, _ matches: [CodeMatch]) -> [Notice] {
        matches.filter { !$0.belongs }.map { .warning("\(path): \($0)") }
    }
}
