// SPDX-License-Identifier: GPL-2.0-or-later

/// A record of a table or an index: the types of its values, then the values (SQLite, "Database File Format", 2.1).
struct RowRecord: ~Copyable {
    private let types: UnsafeMutablePointer<UInt8>
    private var typesEnd = 0
    private var values: UnsafeMutablePointer<UInt8>
    private var valuesEnd = 0
    private var capacity = 4096

    /// Room for the types of as many values as a table has columns: 64, of at most 9 bytes.
    private static let typesSize = 64 * 9

    init() {
        types = .allocate(capacity: RowRecord.typesSize)
        values = .allocate(capacity: capacity)
    }

    deinit {
        types.deallocate()
        values.deallocate()
    }

    /// Begins a new record.
    mutating func begin() { (typesEnd, valuesEnd) = (0, 0) }

    /// Adds NULL.
    @inline(__always)
    mutating func addNull() {
        types[typesEnd] = 0
        typesEnd += 1
    }

    /// Adds an integer in as few bytes as it needs.
    @inline(__always)
    mutating func add(_ value: Int64) {
        let magnitude = UInt64(bitPattern: value < 0 ? ~value : value)
        let type: UInt8
        let size: Int
        if magnitude < 2, value >= 0 {
            (type, size) = (8 + UInt8(value), 0)
        } else {
            switch 64 - magnitude.leadingZeroBitCount {
            case 0...7: (type, size) = (1, 1)
            case 8...15: (type, size) = (2, 2)
            case 16...23: (type, size) = (3, 3)
            case 24...31: (type, size) = (4, 4)
            case 32...47: (type, size) = (5, 6)
            default: (type, size) = (6, 8)
            }
        }
        types[typesEnd] = type
        typesEnd += 1
        if valuesEnd + 8 > capacity { grow(8) }
        // The lowest bytes of the value, the highest one first.
        let aligned = (UInt64(bitPattern: value) << UInt64(truncatingIfNeeded: (64 - 8 * size) & 63)).bigEndian
        UnsafeMutableRawPointer(values + valuesEnd).storeBytes(of: aligned, as: UInt64.self)
        valuesEnd += size
    }

    /// Adds an integer in eight bytes, whatever its value: it can be replaced by any other.
    mutating func addWide(_ value: Int64) {
        types[typesEnd] = 6
        typesEnd += 1
        if valuesEnd + 8 > capacity { grow(8) }
        UnsafeMutableRawPointer(values + valuesEnd).storeBytes(of: value.bigEndian, as: Int64.self)
        valuesEnd += 8
    }

    /// Adds bytes as a blob, or as text in UTF-8.
    mutating func add(_ bytes: UnsafeRawBufferPointer, isText: Bool) {
        typesEnd += Varint64.put(UInt64(bytes.count) * 2 + (isText ? 13 : 12), to: types + typesEnd)
        if valuesEnd + bytes.count + 8 > capacity { grow(bytes.count + 8) }
        if let base = bytes.baseAddress {
            UnsafeMutableRawPointer(values + valuesEnd).copyMemory(from: base, byteCount: bytes.count)
        }
        valuesEnd += bytes.count
    }

    private mutating func grow(_ more: Int) {
        let larger = max(capacity * 2, valuesEnd + more)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        moved.update(from: values, count: valuesEnd)
        values.deallocate()
        values = moved
        capacity = larger
    }

    /// The size of the record in bytes.
    var size: Int { headerSize + valuesEnd }

    /// The header's size counts itself.
    private var headerSize: Int { typesEnd + (typesEnd + 1 < 128 ? 1 : 2) }

    /// Writes the record to a place that has room for it.
    func put(to target: UnsafeMutablePointer<UInt8>) {
        let start = Varint64.put(UInt64(headerSize), to: target)
        (target + start).update(from: types, count: typesEnd)
        (target + start + typesEnd).update(from: values, count: valuesEnd)
    }
}

/// SQLite's integers of one to nine bytes, the highest seven bits first.
enum Varint64 {
    /// Writes a number; there must be room for nine bytes. Returns how many it took.
    @discardableResult
    static func put(_ value: UInt64, to target: UnsafeMutablePointer<UInt8>) -> Int {
        if value < 0x80 {
            target[0] = UInt8(value)
            return 1
        }
        guard value < 1 << 56 else {
            // Nine bytes: the last one has eight bits.
            var rest = value >> 8
            for place in stride(from: 7, through: 0, by: -1) {
                target[place] = UInt8(rest & 0x7f) | 0x80
                rest >>= 7
            }
            target[8] = UInt8(value & 0xff)
            return 9
        }
        let size = size(value)
        var rest = value
        for place in stride(from: size - 1, through: 0, by: -1) {
            target[place] = UInt8(rest & 0x7f) | (place == size - 1 ? 0 : 0x80)
            rest >>= 7
        }
        return size
    }

    /// The number of bytes that a number takes.
    static func size(_ value: UInt64) -> Int {
        value >= 1 << 56 ? 9 : max(1, (70 - value.leadingZeroBitCount) / 7)
    }
}
