// SPDX-License-Identifier: GPL-2.0-or-later

/// Bytes of rows on their way to a sink. Formats numbers in place, for rows by the million.
public struct RowBuffer: ~Copyable {
    private let sink: any TextSink
    private let base: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private var used = 0
    /// `00` … `ff`, then `00` … `99`.
    private let hexPairs: UnsafeMutablePointer<UInt16>
    private let decimalPairs: UnsafeMutablePointer<UInt16>

    /// - Parameter capacity: Several rows of the longest kind; large enough that the sink need not copy it.
    public init(to sink: any TextSink, capacity: Int = 1 << 20) {
        self.sink = sink
        self.capacity = capacity
        base = .allocate(capacity: capacity)
        hexPairs = .allocate(capacity: 256)
        decimalPairs = .allocate(capacity: 100)
        let digits = Array("0123456789abcdef".utf8)
        for value in 0..<256 {
            hexPairs[value] = UInt16(littleEndian: UInt16(digits[value >> 4]) | UInt16(digits[value & 15]) << 8)
        }
        for value in 0..<100 {
            decimalPairs[value] = UInt16(littleEndian: UInt16(digits[value / 10]) | UInt16(digits[value % 10]) << 8)
        }
    }

    deinit {
        base.deallocate()
        hexPairs.deallocate()
        decimalPairs.deallocate()
    }

    /// Makes room for `count` bytes; each of the other calls assumes that there is room.
    @inline(__always)
    public mutating func reserve(_ count: Int) {
        if count > capacity - used { flush() }
    }

    /// The bytes since the last flush, for tests.
    public var pending: [UInt8] { Array(UnsafeBufferPointer(start: base, count: used)) }

    public mutating func flush() {
        sink.write(UnsafeRawBufferPointer(start: base, count: used))
        used = 0
    }

    @inline(__always)
    public mutating func byte(_ value: UInt8) {
        base[used] = value
        used &+= 1
    }

    @inline(__always)
    public mutating func text(_ text: StaticString) {
        bytes(text.utf8Start, text.utf8CodeUnitCount)
    }

    @inline(__always)
    public mutating func bytes(_ source: UnsafePointer<UInt8>, _ count: Int) {
        (base + used).update(from: source, count: count)
        used &+= count
    }

    /// `0x` and 16 digits.
    @inline(__always)
    public mutating func fullAddress(_ value: UInt64) {
        let target = UnsafeMutableRawPointer(base + used)
        target.storeBytes(of: UInt16(littleEndian: 0x7830), as: UInt16.self)
        var shift: UInt64 = 56
        for index in 1...8 {
            let pair = hexPairs[Int(value >> shift & 0xff)]
            target.storeBytes(of: pair, toByteOffset: index * 2, as: UInt16.self)
            shift &-= 8
        }
        used &+= 18
    }

    /// `0x` and the digits that it needs.
    @inline(__always)
    public mutating func address(_ value: UInt64) {
        text("0x")
        hexadecimal(value, width: 0)
    }

    /// Hexadecimal digits, with spaces before them up to `width`.
    @inline(__always)
    public mutating func hexadecimal(_ value: UInt64, width: Int) {
        let digits = value == 0 ? 1 : (67 - value.leadingZeroBitCount) / 4
        var padding = width &- digits
        while padding > 0 {
            byte(0x20)
            padding &-= 1
        }
        var rest = value
        var place = used &+ digits &- 1
        for _ in 0..<digits {
            let nibble = UInt8(truncatingIfNeeded: rest & 15)
            base[place] = nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble
            rest >>= 4
            place &-= 1
        }
        used &+= digits
    }

    /// Decimal, with spaces before it up to `width`.
    @inline(__always)
    public mutating func decimal(_ value: UInt64, width: Int = 0) {
        let digits = RowBuffer.decimalDigits(value)
        var padding = width &- digits
        while padding > 0 {
            byte(0x20)
            padding &-= 1
        }
        var rest = value
        var place = used &+ digits
        let target = UnsafeMutableRawPointer(base)
        while rest >= 100 {
            place &-= 2
            target.storeBytes(of: decimalPairs[Int(rest % 100)], toByteOffset: place, as: UInt16.self)
            rest /= 100
        }
        if rest >= 10 {
            target.storeBytes(of: decimalPairs[Int(rest)], toByteOffset: place &- 2, as: UInt16.self)
        } else {
            base[place &- 1] = 0x30 &+ UInt8(truncatingIfNeeded: rest)
        }
        used &+= digits
    }

    /// How many digits the number has.
    public static func decimalDigits(_ value: UInt64) -> Int {
        var digits = 1
        var bound: UInt64 = 10
        while value >= bound {
            digits &+= 1
            if digits == 20 { break }
            bound &*= 10
        }
        return digits
    }
}
