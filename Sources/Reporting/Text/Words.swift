// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// Numbers and nouns in sentences.
enum Words {
    /// `1 branch`, `2,029,514 branches`.
    static func count(_ number: UInt64, _ singular: String, _ plural: String? = nil) -> String {
        "\(RowText.grouped(number)) \(number == 1 ? singular : plural ?? singular + "s")"
    }

    /// `1 branch`, `2,029,514 branches`.
    static func branches(_ number: UInt64) -> String { count(number, "branch", "branches") }

    /// `an interrupt`, `a port-read`.
    static func article(_ noun: String) -> String {
        let isVowel = noun.first.map { "aeio".contains($0) } ?? false
        return (isVowel ? "an " : "a ") + noun
    }

    /// `10 transitions late`, `3 transitions early`.
    static func distance(_ transitions: Int64, _ instructions: Int64?) -> String {
        var parts: [String] = []
        if transitions != 0 { parts.append(count(transitions.magnitude, "transition")) }
        if let instructions, instructions != 0 { parts.append(count(instructions.magnitude, "instruction")) }
        guard !parts.isEmpty else { return "at another instruction" }
        let isLate = transitions != 0 ? transitions > 0 : (instructions ?? 0) > 0
        return parts.joined(separator: " and ") + (isLate ? " late" : " early")
    }
}
