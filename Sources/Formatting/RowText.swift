// SPDX-License-Identifier: GPL-2.0-or-later

/// Formats single fields of rows without a ``TextBuffer``.
public enum RowText {
    /// A JSON string with its quotes (RFC 8259).
    public static func json(_ text: String) -> String { made { $0.appendJSON(text) } }

    /// A CSV field, in quotes where it needs them (RFC 4180).
    public static func csv(_ text: String) -> String { made { $0.appendCSV(text) } }

    private static func made(_ body: (inout TextBuffer) -> Void) -> String {
        var buffer = TextBuffer(capacity: 256)
        body(&buffer)
        return buffer.withBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// A number for people, digits in groups of three: `131,298,850`.
    public static func grouped(_ number: some UnsignedInteger) -> String {
        let digits = Array(String(number))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// An address, hexadecimal: `0xffffffff81000000`.
    public static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// A number with a decimal prefix: `12.3 M`.
    public static func scaled(_ value: Double) -> String {
        let prefixes = ["", "k", "M", "G", "T"]
        var value = value
        var index = 0
        while value >= 1000, index < prefixes.count - 1 {
            value /= 1000
            index += 1
        }
        if index == 0 { return "\(Int(value)) " }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(prefixes[index])"
    }
}
