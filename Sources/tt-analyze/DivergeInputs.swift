// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import Reporting
import RunDirectory
import ToolSupport

/// Something wrong with an argument of `diverge`.
struct DivergeError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Reads the inputs that the arguments of `diverge` name.
enum DivergeInputs {
    /// The largest file of rules, in bytes.
    private static let rulesLimit = 1 << 20

    /// The rules of a file, in addition to the standard ones.
    static func rules(_ path: String) throws -> [BenignRule] {
        let bytes = try PlainFile(path, what: "file of rules").contents(limit: rulesLimit)
        do {
            return try BenignRule.rules(json: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw DivergeError("\(path): \(error)")
        }
    }

    /// The code that an argument of `--ignore` names: a function, or `FROM:TO`.
    static func ignoredCode(
        _ argument: String, _ original: ReportedRun, _ replay: ReportedRun
    ) throws -> IgnoredCode {
        let bounds = argument.split(separator: ":", omittingEmptySubsequences: false)
            .map { NumberArgument(argument: String($0))?.value }
        if bounds.count == 2, let from = bounds[0], let to = bounds[1], from < to {
            return IgnoredCode(name: argument.onOneLine, original: [from..<to], replay: [from..<to])
        }
        let (a, b) = (original.symbolizer, replay.symbolizer)
        let ranges = (a?.functionRanges(named: argument) ?? [], b?.functionRanges(named: argument) ?? [])
        guard !ranges.0.isEmpty || !ranges.1.isEmpty else {
            let names = a?.names(near: argument) ?? []
            let near = names.isEmpty ? "" : "; similar names: \(names.joined(separator: ", "))"
            let reason = a == nil ? "no symbols are given" : "no function has this name\(near)"
            throw DivergeError("--ignore \(argument.onOneLine): \(reason.onOneLine)")
        }
        return IgnoredCode(name: argument.onOneLine, original: ranges.0, replay: ranges.1)
    }
}
