// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat

/// An opened file whose branches can be shown.
public struct BranchInput {
    /// The file and its branches.
    public let source: LogSource

    /// Opens an input of any format with branches, and reports the damage of the file as a whole.
    ///
    /// - Throws: `LogError` if the file cannot be read or its format has no branches; ``ViewError`` if it is a log that
    ///   was recorded without branches.
    package init(path: String, health: inout LogHealth) throws {
        source = try health.open(path, needs: .branches)
        if let raw = source.rawBTS {
            let reason = raw.form == .extended ? "it begins with a record of ones" : "its addresses are plausible"
            health.report(.note("\(path): read as \(raw.count) raw BTS records, \(raw.form.rawValue): \(reason)"))
        }
        if let log = source.log, !log.header.features.contains(.branches) {
            throw ViewError.noBranches(path: log.path, mode: "\(log.header.mode)")
        }
    }

    /// The description of this input that views receive.
    public func view(isOneOfSeveral: Bool) -> ViewInput { ViewInput(source, isOneOfSeveral: isOneOfSeveral) }
}
