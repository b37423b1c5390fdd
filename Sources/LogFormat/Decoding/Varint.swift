// SPDX-License-Identifier: GPL-2.0-or-later

/// A column of LEB128 numbers, read in order. Reading never leaves the column.
struct VarintColumn {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Whether the whole column has been read.
    var isAtEnd: Bool { place == bytes.count }
    /// Bytes read so far.
    var position: Int { place }

    /// The next number; nil when the column ends before it does or it does not fit 64 bits.
    @inline(__always)
    mutating func next() -> UInt64? {
        guard place < bytes.count else { return nil }
        let first = bytes[place]
        if first < 0x80 {
            place &+= 1
            return UInt64(first)
        }
        return nextLong()
    }

    private mutating func nextLong() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var index = place
        while index < bytes.count {
            let byte = UInt64(bytes[index])
            index &+= 1
            if shift == 63, byte > 1 { return nil }
            value |= (byte & 0x7f) << shift
            if byte < 0x80 {
                place = index
                return value
            }
            shift &+= 7
            if shift > 63 { return nil }
        }
        return nil
    }

    /// The next number, zigzag-decoded: a difference modulo 2^64.
    @inline(__always)
    mutating func nextDifference() -> UInt64? {
        guard let value = next() else { return nil }
        return (value >> 1) ^ (0 &- (value & 1))
    }
}

/// A column of bytes or words, taken piece by piece.
struct ByteColumn {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { place == bytes.count }
    /// Bytes taken so far.
    var position: Int { place }

    /// The position of the next `count` bytes in the column; nil if there are fewer.
    mutating func take(_ count: Int) -> Int? {
        guard count >= 0, count <= bytes.count - place else { return nil }
        defer { place += count }
        return place
    }

    mutating func nextWord() -> UInt64? {
        guard let start = take(8) else { return nil }
        return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self))
    }
}
