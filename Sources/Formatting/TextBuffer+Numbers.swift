// SPDX-License-Identifier: GPL-2.0-or-later

/// Numbers, formatted eight digits at a time.
extension TextBuffer {
    /// The room for any number: `0x` and 16 digits, or 20 digits, and the bytes that are written and do not count.
    @inlinable static var numberRoom: Int { 32 }

    /// Appends a decimal number.
    @inlinable @inline(__always)
    public mutating func appendDecimal(_ value: UInt64) {
        reserve(TextBuffer.numberRoom)
        putDecimal(value)
    }

    /// Appends a decimal number without a check: there must be ``numberRoom``.
    @inlinable @inline(__always)
    mutating func putDecimal(_ value: UInt64) {
        if value < 10 {
            start[count] = 0x30 &+ UInt8(truncatingIfNeeded: value)
            count &+= 1
        } else {
            putDecimals(value)
        }
    }

    @inlinable
    mutating func putDecimals(_ value: UInt64) {
        guard value >= 100_000_000 else {
            // Without leading zeros; the last digit is always written.
            let digits = decimalCharacters(UInt32(truncatingIfNeeded: value))
            let zeros = min(digits.trailingZeroBitCount / 8, 7)
            store((digits | 0x3030_3030_3030_3030) &>> UInt64(truncatingIfNeeded: zeros &* 8))
            count &+= 8 &- zeros
            return
        }
        let (first, last) = value.quotientAndRemainder(dividingBy: 100_000_000)
        putDecimals(first)
        store(decimalCharacters(UInt32(truncatingIfNeeded: last)) | 0x3030_3030_3030_3030)
        count &+= 8
    }

    /// Appends a decimal number with spaces before it, up to a width.
    @inlinable @inline(__always)
    public mutating func appendDecimal(_ value: UInt64, width: Int) {
        appendSpaces(width &- decimalDigitCount(value))
        appendDecimal(value)
    }

    /// Appends hexadecimal digits, at least `digits` of them and at most 16.
    @inlinable @inline(__always)
    public mutating func appendHexadecimal(_ value: UInt64, digits: Int) {
        reserve(TextBuffer.numberRoom)
        putHexadecimal(value, digits: digits)
    }

    /// Appends hexadecimal digits without a check: there must be ``numberRoom``.
    @inlinable
    mutating func putHexadecimal(_ value: UInt64, digits: Int) {
        let length = max(digits, (64 &- value.leadingZeroBitCount &+ 3) / 4, 1)
        // All digits are written; the first ones count.
        if length <= 8 {
            let shifted = UInt32(truncatingIfNeeded: value) &<< UInt32(truncatingIfNeeded: 32 &- length &* 4)
            store(hexadecimalCharacters(shifted))
            count &+= length
        } else {
            let shifted = value &<< UInt64(truncatingIfNeeded: 64 &- length &* 4)
            store(hexadecimalCharacters(UInt32(truncatingIfNeeded: shifted &>> 32)))
            count &+= 8
            store(hexadecimalCharacters(UInt32(truncatingIfNeeded: shifted)))
            count &+= length &- 8
        }
    }

    /// Appends hexadecimal digits with spaces before them, up to a width.
    @inlinable @inline(__always)
    public mutating func appendHexadecimal(_ value: UInt64, width: Int) {
        appendSpaces(width &- max(1, (67 &- value.leadingZeroBitCount) / 4))
        appendHexadecimal(value, digits: 1)
    }

    /// Appends `0x` and the digits that the number needs.
    @inlinable @inline(__always)
    public mutating func appendAddress(_ value: UInt64) {
        reserve(TextBuffer.numberRoom)
        putAddress(value)
    }

    /// Appends `0x` and the digits that the number needs without a check: there must be ``numberRoom``.
    @inlinable @inline(__always)
    mutating func putAddress(_ value: UInt64) {
        put("0x")
        putHexadecimal(value, digits: 1)
    }

    /// Appends `0x` and 16 digits.
    @inlinable @inline(__always)
    public mutating func appendFullAddress(_ value: UInt64) {
        append("0x")
        reserve(16)
        store(hexadecimalCharacters(UInt32(truncatingIfNeeded: value &>> 32)))
        count &+= 8
        store(hexadecimalCharacters(UInt32(truncatingIfNeeded: value)))
        count &+= 8
    }

    /// Writes eight characters after the text, the first one in the lowest byte. There must be room.
    @inlinable @inline(__always)
    func store(_ characters: UInt64) {
        UnsafeMutableRawPointer(start + count).storeBytes(of: characters.littleEndian, as: UInt64.self)
    }
}

/// How many decimal digits a number has.
@inlinable
public func decimalDigitCount(_ value: UInt64) -> Int {
    var digits = 1
    var bound: UInt64 = 10
    while value >= bound {
        digits &+= 1
        if digits == 20 { break }
        bound &*= 10
    }
    return digits
}

/// The values of the eight decimal digits of a number below 100,000,000, the first one in the lowest byte: halves, then
/// pairs, then digits, divided all at once.
@inlinable @inline(__always)
func decimalCharacters(_ value: UInt32) -> UInt64 {
    let halves = UInt64(value / 10_000) | UInt64(value % 10_000) &<< 32
    // A multiple of 1 / 100 and of 1 / 10, rounded up, is exact for values below 10,000 and 100.
    let hundreds = (halves &* 10_486) &>> 20 & 0x0000_007f_0000_007f
    let pairs = hundreds | (halves &- hundreds &* 100) &<< 16
    let tens = (pairs &* 103) &>> 10 & 0x000f_000f_000f_000f
    return tens | (pairs &- tens &* 10) &<< 8
}

/// The eight hexadecimal digits of a value, the first one in the lowest byte; all at once.
@inlinable @inline(__always)
func hexadecimalCharacters(_ value: UInt32) -> UInt64 {
    var digits = UInt64(value)
    digits = (digits | digits &<< 16) & 0x0000_ffff_0000_ffff
    digits = (digits | digits &<< 8) & 0x00ff_00ff_00ff_00ff
    digits = (digits | digits &<< 4) & 0x0f0f_0f0f_0f0f_0f0f
    let isLetter = (digits &+ 0x0606_0606_0606_0606) &>> 4 & 0x0101_0101_0101_0101
    return (digits &+ 0x3030_3030_3030_3030 &+ isLetter &* 0x27).byteSwapped
}
