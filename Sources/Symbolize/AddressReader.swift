// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Reads addresses or places, one a line, from a file or a pipe: hexadecimal, with or without `0x`, or
/// `SYMBOL[+OFFSET]`.
public struct AddressReader: ~Copyable {
    private let descriptor: Int32
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    /// Bytes of the buffer that hold input.
    private var filled = 0
    private var isAtEnd = false

    /// - Parameter descriptor: Where to read from; stays open.
    public init(_ descriptor: Int32) {
        self.descriptor = descriptor
        buffer = .allocate(capacity: 1 << 18)
    }

    deinit { buffer.deallocate() }

    /// The addresses of the lines that have come since, `nil` for those that are none; `nil` at the end of the input.
    /// Waits only when no whole line is there.
    public mutating func next(_ symbolizer: Symbolizer) throws(SymbolError) -> [UInt64?]? {
        guard let start = buffer.baseAddress else { return nil }
        while !isAtEnd {
            let count = read(descriptor, start + filled, buffer.count - filled)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw SymbolError(file: "standard input", kind: .cannotOpen(errno: errno))
            }
            filled += count
            isAtEnd = count == 0
            var end = isAtEnd ? filled : lastLineEnd()
            // A line as long as the buffer is no address.
            if end == 0 && filled == buffer.count { end = filled }
            if end > 0 {
                let addresses = parse(UnsafeBufferPointer(rebasing: buffer[..<end]), symbolizer)
                start.update(from: start + end, count: filled - end)
                filled -= end
                if !addresses.isEmpty { return addresses }
            }
        }
        return nil
    }

    private func lastLineEnd() -> Int {
        var end = filled
        while end > 0 && buffer[end &- 1] != 0x0a { end &-= 1 }
        return end
    }

    private func parse(_ text: UnsafeBufferPointer<UInt8>, _ symbolizer: Symbolizer) -> [UInt64?] {
        guard let start = text.baseAddress else { return [] }
        var addresses: [UInt64?] = []
        var at = 0
        while at < text.count {
            let end = memchr(start + at, 0x0a, text.count &- at).map { UnsafeRawPointer($0) - UnsafeRawPointer(start) }
            let line = UnsafeBufferPointer(rebasing: text[at..<(end ?? text.count)])
            at &+= line.count &+ 1
            if let address = AddressReader.hexadecimal(line) {
                addresses.append(address)
            } else if !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }) {
                addresses.append(AddressReader.address(String(decoding: line, as: UTF8.self), symbolizer))
            }
        }
        return addresses
    }

    /// An address or the beginning of a place; `nil` when the text is neither.
    public static func address(_ text: String, _ symbolizer: Symbolizer) -> UInt64? {
        let parts = text.split { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\r\n" }
        guard let word = parts.first, parts.count == 1 else { return nil }
        var plain = String(word)
        if let address = plain.withUTF8({ hexadecimal($0) }) { return address }
        return symbolizer.resolve(name: plain).first?.lowerBound
    }

    /// Up to 16 digits between blanks.
    private static func hexadecimal(_ text: UnsafeBufferPointer<UInt8>) -> UInt64? {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }
        var at = 0
        while at < text.count, isBlank(text[at]) { at &+= 1 }
        if at &+ 1 < text.count, text[at] == 0x30, text[at &+ 1] | 0x20 == 0x78 { at &+= 2 }
        var value: UInt64 = 0
        var digits = 0
        while at < text.count, let digit = hexadecimalDigit(text[at]) {
            value = value << 4 | UInt64(digit)
            digits &+= value == 0 ? 0 : 1
            guard digits <= 16 else { return nil }
            at &+= 1
        }
        let start = at
        while at < text.count, isBlank(text[at]) { at &+= 1 }
        guard at == text.count, start > 0, hexadecimalDigit(text[start &- 1]) != nil else { return nil }
        return value
    }
}

/// The value of a hexadecimal digit. Without branches: nothing can foresee which digits are letters.
@inline(__always)
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    let digit = byte &- 0x30
    let letter = (byte | 0x20) &- 0x61
    let value = letter < 6 ? letter &+ 10 : digit
    return value < 16 && (value < 10 || letter < 6) ? value : nil
}
