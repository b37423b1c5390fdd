// SPDX-License-Identifier: GPL-2.0-or-later

import ToolSupport

/// One JSON object on one line, field after field. 64-bit numbers are strings: a double would lose them.
struct JSONRow {
    private var text = "{"

    /// A small number, or `null`.
    mutating func number(_ key: StaticString, _ value: UInt64?) {
        begin(key)
        text += value.map { String($0) } ?? "null"
    }

    /// A decimal number as a string, or `null`.
    mutating func counter(_ key: StaticString, _ value: UInt64?) {
        begin(key)
        quote(value.map { String($0) })
    }

    /// A hexadecimal number as a string, or `null`.
    mutating func address(_ key: StaticString, _ value: UInt64?) {
        begin(key)
        quote(value.map(RowText.hex))
    }

    mutating func addresses(_ key: StaticString, _ values: [UInt64]) {
        begin(key)
        text += "["
        for (index, value) in values.enumerated() {
            if index > 0 { text += "," }
            quote(RowText.hex(value))
        }
        text += "]"
    }

    /// A text of ours, which needs no escapes.
    mutating func name(_ key: StaticString, _ value: String) {
        begin(key)
        quote(value)
    }

    /// A value that is JSON already.
    mutating func raw(_ key: StaticString, _ json: String) {
        begin(key)
        text += json
    }

    consuming func finished() -> String {
        text += "}"
        return text
    }

    private mutating func begin(_ key: StaticString) {
        if text.utf8.count > 1 { text += "," }
        text += "\""
        text += key.description
        text += "\":"
    }

    private mutating func quote(_ value: String?) {
        guard let value else {
            text += "null"
            return
        }
        text += "\""
        text += value
        text += "\""
    }
}
