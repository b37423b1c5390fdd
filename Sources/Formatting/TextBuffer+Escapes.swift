// SPDX-License-Identifier: GPL-2.0-or-later

/// Text from files, escaped for its reader: a JSON parser, a CSV parser, or a person at a terminal.
extension TextBuffer {
    /// Appends a JSON string with its quotes (RFC 8259).
    public mutating func appendJSON(_ text: String) {
        append(0x22)
        appendEscaped(text)
        append(0x22)
    }

    /// Appends the inside of a JSON string; bytes that are not UTF-8 become U+FFFD.
    public mutating func appendEscaped(_ bytes: UnsafeBufferPointer<UInt8>) {
        if isPlain(bytes) { append(bytes) } else { appendEscaped(String(decoding: bytes, as: UTF8.self)) }
    }

    /// Appends the inside of a JSON string.
    public mutating func appendEscaped(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5c:
                append(0x5c)
                append(byte)
            case 0x0a: append("\\n")
            case 0x0d: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20:
                append("\\u00")
                appendHexadecimal(UInt64(byte), digits: 2)
            default: append(byte)
            }
        }
    }

    /// Appends text from a file for a person (`String.onOneLine`); bytes that are not UTF-8 become U+FFFD.
    public mutating func appendOneLine(_ bytes: UnsafeBufferPointer<UInt8>) {
        if isPlain(bytes) { append(bytes) } else { appendText(String(decoding: bytes, as: UTF8.self).onOneLine) }
    }

    /// Appends a CSV field, in quotes if it needs them (RFC 4180): any text stays one field.
    public mutating func appendCSV(_ text: String) {
        let needsQuotes = text.utf8.contains { $0 == 0x2c || $0 == 0x22 || $0 == 0x0a || $0 == 0x0d }
        guard needsQuotes else { return appendText(text) }
        append(0x22)
        for byte in text.utf8 {
            if byte == 0x22 { append(0x22) }
            append(byte)
        }
        append(0x22)
    }
}

/// Whether bytes are in a JSON string as they are: printable ASCII except `"` and `\`. Tests eight at a time.
private func isPlain(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    func each(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }
    func isPlain(_ word: UInt64) -> Bool {
        let low = word & each(0x7f)
        // The upper bit of a byte: at least a blank, not `"`, not `\`, not DEL, ASCII.
        let printable = (low &+ each(0x60)) & ~(low &+ each(0x01)) & ~word
        let others = ((low ^ each(0x22)) &+ each(0x7f)) & ((low ^ each(0x5c)) &+ each(0x7f))
        return printable & others & each(0x80) == each(0x80)
    }
    guard bytes.count >= 8 else {
        return bytes.allSatisfy { isPlain(each(UInt64($0))) }
    }
    let raw = UnsafeRawBufferPointer(bytes)
    var at = 0
    while at &+ 8 <= raw.count {
        guard isPlain(raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)) else { return false }
        at &+= 8
    }
    return isPlain(raw.loadUnaligned(fromByteOffset: raw.count &- 8, as: UInt64.self))
}
