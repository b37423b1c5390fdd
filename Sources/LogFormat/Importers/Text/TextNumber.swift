// SPDX-License-Identifier: GPL-2.0-or-later

/// Numbers in text, parsed by hand: no allocation, no locale, no overflow.
enum TextNumber {
    /// Whether a byte is a decimal digit.
    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// The value of a hexadecimal digit; above 15 for another byte.
    @inline(__always)
    static func digit(_ byte: UInt8) -> UInt8 {
        if byte &- 0x30 < 10 { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : 0xff
    }

    /// The hexadecimal number at the beginning, without `0x`, and its digits: 1 to 16; nil if there is none.
    @inline(__always)
    static func hexadecimal(_ start: UnsafePointer<UInt8>, _ count: Int) -> (value: UInt64, digits: Int)? {
        var value: UInt64 = 0
        var index = 0
        while index < count {
            let digit = digit(start[index])
            if digit > 15 { break }
            guard index < 16 else { return nil }
            value = value << 4 | UInt64(digit)
            index &+= 1
        }
        return index > 0 ? (value, index) : nil
    }

    /// The decimal number at the beginning, and its digits; nil if there is none or it needs more than 64 bits.
    @inline(__always)
    static func decimal(_ start: UnsafePointer<UInt8>, _ count: Int) -> (value: UInt64, digits: Int)? {
        var value: UInt64 = 0
        var index = 0
        while index < count, isDigit(start[index]) {
            let digit = UInt64(start[index] &- 0x30)
            if index < 18 {
                value = value &* 10 &+ digit
            } else {
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(digit)
                guard !overflow, !carry else { return nil }
                value = sum
            }
            index &+= 1
        }
        return index > 0 ? (value, index) : nil
    }

    /// The whole text as a number, decimal or hexadecimal with `0x`; nil if it is none.
    @inline(__always)
    static func number(_ text: UnsafeRawBufferPointer) -> UInt64? {
        guard let start = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
        if text.count > 2, start[0] == 0x30, start[1] | 0x20 == 0x78 {
            guard let (value, digits) = hexadecimal(start + 2, text.count - 2), digits == text.count - 2 else {
                return nil
            }
            return value
        }
        guard let (value, digits) = decimal(start, text.count), digits == text.count else { return nil }
        return value
    }
}
