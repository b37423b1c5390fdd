// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import FoundationEssentials
import ToolSupport

/// A document that a command prints with `--format json`.
protocol JSONDocument: Encodable {}

extension JSONDocument {
    /// Prints the document, keys sorted, so that two of them can be compared as text.
    func print() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(self)
        Output.standard.line(String(decoding: data, as: UTF8.self))
    }
}
