// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Addresses in the order of the lines that they were read from.
public struct AddressList: Sendable {
    /// The addresses; 0 for a line that is neither an address nor a known place.
    public internal(set) var addresses: [UInt64]
    /// The indices of such lines, ascending.
    public internal(set) var unknown: [Int]
}

/// Reads addresses or places, one a line, from a file or a pipe: hexadecimal, with or without `0x`, or
/// `SYMBOL[+OFFSET]`.
public struct AddressReader: ~Copyable {
    private let descriptor: Int32
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    /// Bytes of the buffer that hold input.
    private var filled = 0
    private var isAtEnd = false

    /// How much is read at once: what is made of it stays in the second-level cache.
    private static let pieceSize = 1 << 16
    /// How much at first of a symbolizer that reads as it is asked: the more at once the better.
    private static let largestPieceSize = 1 << 18
    private var size: Int

    /// - Parameters:
    ///   - descriptor: Where to read from; stays open.
    ///   - symbolizer: What will be asked.
    init(_ descriptor: Int32, for symbolizer: Symbolizer) {
        self.descriptor = descriptor
        buffer = .allocate(capacity: AddressReader.largestPieceSize)
        size = symbolizer.isWhole ? AddressReader.pieceSize : AddressReader.largestPieceSize
    }

    deinit { buffer.deallocate() }

    /// Puts the lines that have come since in the place of `lines`; `false` at the end of the input. Waits only when no
    /// whole line is there.
    mutating func next(into lines: inout [UInt8]) throws(SymbolError) -> Bool {
        guard let start = buffer.baseAddress else { return false }
        while !isAtEnd {
            let count = read(descriptor, start + filled, min(size, buffer.count - filled))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw SymbolError(file: "standard input", kind: .cannotOpen(errno: errno))
            }
            size = AddressReader.pieceSize
            filled += count
            isAtEnd = count == 0
            var end = isAtEnd ? filled : lastLineEnd()
            // A line as long as the buffer is no address.
            if end == 0 && filled == buffer.count { end = filled }
            guard end > 0 else { continue }
            lines.removeAll(keepingCapacity: true)
            lines.append(contentsOf: buffer[..<end])
            start.update(from: start + end, count: filled - end)
            filled -= end
            return true
        }
        return false
    }

    private func lastLineEnd() -> Int {
        var end = filled
        while end > 0 && buffer[end &- 1] != 0x0a { end &-= 1 }
        return end
    }

    /// The addresses of lines.
    static func parse(_ text: UnsafeBufferPointer<UInt8>, _ symbolizer: Symbolizer) -> AddressList {
        var unknown: [Int] = []
        // A blank line is a line, too: it has an answer, so that answers stay beside their questions.
        let addresses = [UInt64](unsafeUninitializedCapacity: text.count &+ 1) { addresses, count in
            guard let start = text.baseAddress else { return }
            var beginning = Beginning()
            var at = 0
            while at < text.count {
                if at &+ AddressReader.longestPlainLine <= text.count,
                    let (value, length) = AddressReader.plainLine(start + at, &beginning)
                {
                    addresses[count] = value
                    count &+= 1
                    at &+= length
                    continue
                }
                let rest = text[at...]
                let line = UnsafeBufferPointer(rebasing: rest[..<(rest.firstIndex(of: 0x0a) ?? rest.endIndex)])
                at &+= line.count &+ 1
                let address =
                    AddressReader.hexadecimal(line)
                    ?? AddressReader.address(String(decoding: line, as: UTF8.self), symbolizer)
                if address == nil { unknown.append(count) }
                addresses[count] = address ?? 0
                count &+= 1
            }
        }
        return AddressList(addresses: addresses, unknown: unknown)
    }

    /// An address or the beginning of a place; `nil` if the text is neither.
    public static func address(_ text: String, _ symbolizer: Symbolizer) -> UInt64? {
        let parts = text.split { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\r\n" }
        guard let word = parts.first, parts.count == 1 else { return nil }
        var plain = String(word)
        if let address = plain.withUTF8({ hexadecimal($0) }) { return address }
        return symbolizer.resolve(name: plain).first?.lowerBound
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }

    /// Up to 16 digits between blanks.
    private static func hexadecimal(_ text: UnsafeBufferPointer<UInt8>) -> UInt64? {
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

    /// `0x`, 16 digits and the end of the line.
    private static let longestPlainLine = 19

    /// Eight digits that a line began with and their value: those of the next lines are often the same.
    private struct Beginning {
        var text: UInt64 = 0x3030_3030_3030_3030
        var value: UInt64 = 0
    }

    /// The address and the length of a line without blanks; `nil` if it has to be looked at more closely. Reads as
    /// many bytes as the longest such line has.
    @inline(__always)
    private static func plainLine(
        _ line: UnsafePointer<UInt8>, _ beginning: inout Beginning
    ) -> (address: UInt64, length: Int)? {
        let raw = UnsafeRawPointer(line)
        var at = line[0] == 0x30 && line[1] | 0x20 == 0x78 ? 2 : 0
        let text = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        if text != beginning.text {
            let (value, digits) = hexadecimalDigits(text)
            guard digits == 8 else {
                return digits > 0 && line[at &+ digits] == 0x0a ? (value, at &+ digits &+ 1) : nil
            }
            beginning = Beginning(text: text, value: value)
        }
        at &+= 8
        let (rest, count) = hexadecimalDigits(raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        at &+= count
        return line[at] == 0x0a
            ? (beginning.value &<< UInt64(truncatingIfNeeded: count &* 4) | rest, at &+ 1) : nil
    }
}

/// The hexadecimal digits that eight characters begin with, the first one in the lowest byte: their value and number.
///
/// All eight at once; sums stay within their bytes as long as the upper bits are off.
@inline(__always)
func hexadecimalDigits(_ text: UInt64) -> (value: UInt64, count: Int) {
    func each(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }
    let text = UInt64(littleEndian: text)
    let low = text & each(0x7f)
    let lowercase = low | each(0x20)
    // The upper bit of a byte: at least "0" and below ":", at least "a" and below "g".
    let isDigit = (low &+ each(0x80 - 0x30)) & ~(low &+ each(0x80 - 0x3a))
    let isLetter = (lowercase &+ each(0x80 - 0x61)) & ~(lowercase &+ each(0x80 - 0x67))
    let others = ~((isDigit | isLetter) & ~text) & each(0x80)
    var values = (low & each(0x0f)) &+ ((isLetter & each(0x80)) &>> 7) &* 9
    var count = 8
    if others != 0 {
        count = others.trailingZeroBitCount / 8
        values = (values &<< UInt64(truncatingIfNeeded: 56 &- count &* 8)) &<< 8
    }
    values = (values &<< 4 | values &>> 8) & 0x00ff_00ff_00ff_00ff
    values = (values &<< 8 | values &>> 16) & 0x0000_ffff_0000_ffff
    return ((values &<< 16 | values &>> 32) & 0xffff_ffff, count)
}

/// The value of a hexadecimal digit. Without branches: nothing can foresee which digits are letters.
@inline(__always)
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    let digit = byte &- 0x30
    let letter = (byte | 0x20) &- 0x61
    let value = letter < 6 ? letter &+ 10 : digit
    return value < 16 && (value < 10 || letter < 6) ? value : nil
}
