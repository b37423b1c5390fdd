// SPDX-License-Identifier: GPL-2.0-or-later

extension String {
    /// The text with its control characters written as `\\x1b`: text from a log must neither break a row nor steer a
    /// terminal.
    public var onOneLine: String {
        guard unicodeScalars.contains(where: String.isControl) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            if String.isControl(scalar) {
                result += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
    }
}
