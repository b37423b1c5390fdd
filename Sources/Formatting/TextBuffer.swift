// SPDX-License-Identifier: GPL-2.0-or-later

/// A growing stretch of bytes, for text that is made millions of lines at a time.
public struct TextBuffer: ~Copyable {
    private var start: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var count = 0

    public init() {
        capacity = 1 << 16
        start = .allocate(capacity: capacity)
    }

    deinit { start.deallocate() }

    /// Forgets the text, keeps the room.
    public mutating func removeAll() { count = 0 }

    public var size: Int { count }

    public borrowing func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(start: start, count: count))
    }

    @inline(__always)
    private mutating func reserve(_ more: Int) {
        if capacity &- count < more { grow(more) }
    }

    private mutating func grow(_ more: Int) {
        capacity = max(capacity &* 2, count &+ more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: start, count: count)
        start.deallocate()
        start = larger
    }

    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        start[count] = byte
        count &+= 1
    }

    public mutating func append(_ text: StaticString) {
        append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        (start + count).update(from: source, count: bytes.count)
        count &+= bytes.count
    }

    /// Appends a part of the text once more; it must lie within the text.
    @inline(__always)
    public mutating func appendCopy(_ range: Range<Int>) {
        reserve(range.count)
        (start + count).update(from: start + range.lowerBound, count: range.count)
        count &+= range.count
    }

    @inline(__always)
    public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>, orElse other: StaticString) {
        if bytes.isEmpty { append(other) } else { append(bytes) }
    }

    public mutating func appendDecimal(_ value: UInt64) {
        let last = decimalDigits(UInt32(truncatingIfNeeded: value % 100_000_000))
        let isShort = value < 100_000_000
        if !isShort { appendDecimal(value / 100_000_000) }
        // Without the zeros before it; the last digit is always written.
        let zeros = isShort ? min(last.trailingZeroBitCount / 8, 7) : 0
        reserve(8)
        store((last | 0x3030_3030_3030_3030) &>> UInt64(truncatingIfNeeded: zeros &* 8))
        count &+= 8 &- zeros
    }

    /// Writes eight characters, the first one in the lowest byte, behind the text: there must be room.
    @inline(__always)
    private func store(_ characters: UInt64) {
        UnsafeMutableRawPointer(start + count).storeBytes(of: characters.littleEndian, as: UInt64.self)
    }

    /// Hexadecimal digits, at least so many; up to 16.
    public mutating func appendHexadecimal(_ value: UInt64, digits: Int) {
        reserve(16)
        let length = max(digits, (64 &- value.leadingZeroBitCount &+ 3) / 4, 1)
        // All 16 are written, the first ones count.
        let shifted = value &<< UInt64(truncatingIfNeeded: 64 &- length &* 4)
        store(hexadecimalCharacters(UInt32(truncatingIfNeeded: shifted &>> 32)))
        count &+= 8
        store(hexadecimalCharacters(UInt32(truncatingIfNeeded: shifted)))
        count &+= length &- 8
    }

    /// Text inside of a JSON string; bytes that are not UTF-8 come out repaired.
    public mutating func appendEscaped(_ bytes: UnsafeBufferPointer<UInt8>) {
        if isPlain(bytes) { append(bytes) } else { appendEscaped(String(decoding: bytes, as: UTF8.self)) }
    }

    public mutating func appendEscaped(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5c:
                append(0x5c)
                append(byte)
            case 0..<0x20:
                append("\\u00")
                appendHexadecimal(UInt64(byte), digits: 2)
            default: append(byte)
            }
        }
    }
}

/// The values of the eight decimal digits of a number below 100,000,000, the first one in the lowest byte: halves, then
/// pairs, then digits, divided all at once.
@inline(__always)
private func decimalDigits(_ value: UInt32) -> UInt64 {
    let halves = UInt64(value / 10_000) | UInt64(value % 10_000) &<< 32
    // A multiple of 1 / 100 and of 1 / 10, rounded up, is exact for values below 10,000 and 100.
    let hundreds = (halves &* 10_486) &>> 20 & 0x0000_007f_0000_007f
    let pairs = hundreds | (halves &- hundreds &* 100) &<< 16
    let tens = (pairs &* 103) &>> 10 & 0x000f_000f_000f_000f
    return tens | (pairs &- tens &* 10) &<< 8
}

/// The eight hexadecimal digits of a value, the first one in the lowest byte; all at once.
@inline(__always)
private func hexadecimalCharacters(_ value: UInt32) -> UInt64 {
    func each(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }
    var digits = UInt64(value)
    digits = (digits | digits &<< 16) & 0x0000_ffff_0000_ffff
    digits = (digits | digits &<< 8) & 0x00ff_00ff_00ff_00ff
    digits = (digits | digits &<< 4) & each(0x0f)
    let isLetter = (digits &+ each(6)) &>> 4 & each(1)
    return (digits &+ each(0x30) &+ isLetter &* 0x27).byteSwapped
}

/// Whether bytes stand in a JSON string as they are: printable ASCII but `"` and `\`. Eight at a time.
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
