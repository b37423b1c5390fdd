// SPDX-License-Identifier: GPL-2.0-or-later

/// One JSON object on one line, field after field. 64-bit numbers are strings: a double would lose them.
///
/// The bytes are used again for the next row.
public struct JSONRow {
    public init() {}

    private var bytes: [UInt8] = []

    /// Begins a new object.
    public mutating func begin() {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(UInt8(ascii: "{"))
    }

    /// Ends the object and writes it.
    public mutating func end(to sink: any TextSink) {
        append("}\n")
        bytes.withUnsafeBytes { sink.write($0) }
    }

    /// A small number, or `null`.
    public mutating func number(_ key: StaticString, _ value: UInt64?) {
        begin(key)
        if let value { decimal(value) } else { append("null") }
    }

    /// A decimal number as a string, or `null`.
    public mutating func counter(_ key: StaticString, _ value: UInt64?) {
        begin(key)
        guard let value else { return append("null") }
        append("\"")
        decimal(value)
        append("\"")
    }

    /// A hexadecimal number as a string, or `null`.
    public mutating func address(_ key: StaticString, _ value: UInt64?) {
        begin(key)
        if let value { hexadecimal(value) } else { append("null") }
    }

    public mutating func addresses(_ key: StaticString, _ values: [UInt64]) {
        begin(key)
        append("[")
        for (index, value) in values.enumerated() {
            if index > 0 { append(",") }
            hexadecimal(value)
        }
        append("]")
    }

    /// Bytes as hexadecimal digits.
    public mutating func payload(_ key: StaticString, _ payload: [UInt8]) {
        begin(key)
        append("\"")
        for byte in payload {
            hexDigit(byte >> 4)
            hexDigit(byte & 15)
        }
        append("\"")
    }

    /// A text of ours, which needs no escapes.
    public mutating func name(_ key: StaticString, _ value: String) {
        begin(key)
        append("\"")
        bytes.append(contentsOf: value.utf8)
        append("\"")
    }

    /// A value that is JSON already.
    public mutating func raw(_ key: StaticString, _ json: String) {
        begin(key)
        bytes.append(contentsOf: json.utf8)
    }

    private mutating func begin(_ key: StaticString) {
        append(bytes.count > 1 ? ",\"" : "\"")
        append(key)
        append("\":")
    }

    private mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func decimal(_ value: UInt64) {
        let start = bytes.count
        var rest = value
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    private mutating func hexDigit(_ value: UInt8) {
        bytes.append(value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value)
    }

    private mutating func hexadecimal(_ value: UInt64) {
        append("\"0x")
        var shift = value == 0 ? 0 : (63 - value.leadingZeroBitCount) & ~3
        while shift >= 0 {
            hexDigit(UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15)
            shift -= 4
        }
        append("\"")
    }
}
