// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// Numbers and nouns in sentences.
enum Words {
    /// `1 branch`, `2,029,514 branches`.
    static func count(_ number: UInt64, _ singular: String, _ plural: String? = nil) -> String {
        "\(RowText.grouped(number)) \(number == 1 ? singular : plural ?? singular + "s")"
    }

    /// `1 branch`, `2,029,514 branches`.
    static func branches(_ number: UInt64) -> String { count(number, "branch", "branches") }

    /// `10 transitions`, `1 exit`.
    static func distance(_ clocks: UInt64, _ unit: DivergenceDocument.ClockUnit?) -> String {
        switch unit {
        case nil: count(clocks, "transition")
        case .exits: count(clocks, "exit")
        case .instructions: count(clocks, "instruction")
        case .other: count(clocks, "unit") + " of the clock"
        }
    }

    /// The word before a position: `brctr`, `exit`.
    static func clock(_ unit: DivergenceDocument.ClockUnit?) -> String {
        switch unit {
        case nil: "brctr"
        case .exits: "exit"
        case .instructions, .other: "clock"
        }
    }

    /// `an interrupt`, `a port-read`.
    static func article(_ noun: String) -> String {
        let isVowel = noun.first.map { "aeio".contains($0) } ?? false
        return (isVowel ? "an " : "a ") + noun
    }

    /// `10 transitions late`, `3 exits early`.
    static func distance(_ transitions: Int64, _ instructions: Int64?, _ unit: DivergenceDocument.ClockUnit?) -> String
    {
        var parts: [String] = []
        if transitions != 0 { parts.append(distance(transitions.magnitude, unit)) }
        if let instructions, instructions != 0 { parts.append(count(instructions.magnitude, "instruction")) }
        guard !parts.isEmpty else { return "at another instruction" }
        let isLate = transitions != 0 ? transitions > 0 : (instructions ?? 0) > 0
        return parts.joined(separator: " and ") + (isLate ? " late" : " early")
    }
}

extension DivergenceDocument.ClockUnit {
    /// The unit of a log's clock; nil for transitions.
    init?(_ clock: FileHeader.Clock) {
        switch clock {
        case .transitions: return nil
        case .synchronousEntries: self = .exits
        case .instructions: self = .instructions
        case .retiredBranches, .unknown: self = .other
        }
    }
}
