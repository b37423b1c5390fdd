// SPDX-License-Identifier: GPL-2.0-or-later

/// JSON text for a `<script type="application/json">` element.
///
/// No text can end the element or begin a comment in it: `<`, `>`, `&` and everything beyond printable ASCII are escape
/// sequences. So are the line separators that old JavaScript does not take in strings.
struct ScriptJSON {
    private(set) var bytes: [UInt8] = []

    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Adds syntax: brackets, commas, numbers. Not for text of an input.
    mutating func raw(_ syntax: StaticString) {
        syntax.withUTF8Buffer { bytes += $0 }
    }

    mutating func number(_ value: Int) { bytes += "\(value)".utf8 }

    mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for unit in text.utf16 {
            switch unit {
            case 0x20...0x7e where ![0x22, 0x26, 0x3c, 0x3e, 0x5c].contains(unit): bytes.append(UInt8(unit))
            default:
                bytes += "\\u".utf8
                for shift in [12, 8, 4, 0] as [UInt16] { bytes.append(ScriptJSON.digits[Int(unit >> shift & 15)]) }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// A list, with a comma between its entries.
    mutating func list<S: Sequence>(_ entries: S, _ write: (inout ScriptJSON, S.Element) -> Void) {
        raw("[")
        var isFirst = true
        for entry in entries {
            if !isFirst { raw(",") }
            isFirst = false
            write(&self, entry)
        }
        raw("]")
    }

    private static let digits = Array("0123456789abcdef".utf8)
}
