// SPDX-License-Identifier: GPL-2.0-or-later

extension String {
    /// The text with control characters written as `\x1b`, and line separators and marks of writing direction as
    /// `\u{202e}`.
    ///
    /// Text from a file (a symbol, a path, an attribute) passes here on its way to a person: it must neither break a row
    /// nor control a terminal nor change the order in which the row is read.
    public var onOneLine: String {
        // Bytes decide for almost every text: printable ASCII.
        guard utf8.contains(where: { $0 < 0x20 || $0 >= 0x7f }), unicodeScalars.contains(where: String.isUnsafe) else {
            return self
        }
        var result = ""
        for scalar in unicodeScalars {
            guard String.isUnsafe(scalar) else {
                result.unicodeScalars.append(scalar)
                continue
            }
            let digits = String(scalar.value, radix: 16)
            result += scalar.value < 0x100 ? "\\x" + (digits.count < 2 ? "0" : "") + digits : "\\u{\(digits)}"
        }
        return result
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f...0x9f, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: true
        default: false
        }
    }
}
