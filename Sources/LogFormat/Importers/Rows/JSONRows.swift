// SPDX-License-Identifier: GPL-2.0-or-later

/// Rows of JSON lines: one object a line. Reads the values of known keys and passes over the others, without recursion.
struct JSONRows {
    /// Reads a line into cells. Returns what is wrong with it; nil if it is an object.
    static func read(_ text: UnsafeRawBufferPointer, into cells: inout RowCells) -> StaticString? {
        cells.clear()
        guard let start = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return "an object expected" }
        var scanner = JSONScanner(start: start, count: text.count)
        guard scanner.take(0x7b) else { return "an object expected" }
        guard object(&scanner, into: &cells, isOuter: true) else { return "an object that is not well-formed" }
        scanner.skipSpaces()
        return scanner.index == text.count ? nil : "text after the object"
    }

    /// Reads the keys and values of an object whose brace was taken.
    private static func object(_ scanner: inout JSONScanner, into cells: inout RowCells, isOuter: Bool) -> Bool {
        if scanner.take(0x7d) { return true }
        while true {
            guard let key = scanner.string(), scanner.take(0x3a) else { return false }
            let target = isOuter ? RowNames.target(key.bytes) : RowNames.field(key.bytes)
            if target == .column(.fields), scanner.take(0x7b) {
                guard object(&scanner, into: &cells, isOuter: false) else { return false }
                guard scanner.next(closing: 0x7d) else { return scanner.isClosed }
                continue
            }
            guard let value = scanner.value() else { return false }
            cells.set(target, value)
            guard scanner.next(closing: 0x7d) else { return scanner.isClosed }
        }
    }

    /// The text of a string with its escapes resolved; invalid ones become U+FFFD.
    static func text(_ cell: RowCell) -> [UInt8] {
        guard cell.hasEscapes else { return Array(cell.bytes) }
        var result: [UInt8] = []
        var index = 0
        let bytes = cell.bytes
        func unit(at place: Int) -> UInt32? {
            guard place + 4 <= bytes.count, let start = cell.start else { return nil }
            return TextNumber.hexadecimal(start + place, 4).flatMap { $0.digits == 4 ? UInt32($0.value) : nil }
        }
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            guard byte == 0x5c, index < bytes.count else {
                result.append(byte)
                continue
            }
            let escape = bytes[index]
            index += 1
            switch escape {
            case UInt8(ascii: "n"): result.append(0x0a)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "r"): result.append(0x0d)
            case UInt8(ascii: "b"): result.append(0x08)
            case UInt8(ascii: "f"): result.append(0x0c)
            case UInt8(ascii: "u"):
                var scalar = unit(at: index)
                index += 4
                if let high = scalar, high >> 10 == 0x36, let low = unit(at: index + 2), low >> 10 == 0x37,
                    bytes[index] == 0x5c, bytes[index + 1] == UInt8(ascii: "u")
                {
                    scalar = 0x10000 + (high & 0x3ff) << 10 + low & 0x3ff
                    index += 6
                }
                let character = scalar.flatMap(Unicode.Scalar.init) ?? "\u{fffd}"
                result += Array(String(character).utf8)
            default: result.append(escape)
            }
        }
        return result
    }
}

/// Takes the parts of JSON from the front of a line.
struct JSONScanner {
    let start: UnsafePointer<UInt8>
    let count: Int
    private(set) var index = 0
    /// Whether ``next(closing:)`` has taken the closing byte.
    private(set) var isClosed = false

    init(start: UnsafePointer<UInt8>, count: Int) {
        self.start = start
        self.count = count
    }

    @inline(__always)
    mutating func skipSpaces() {
        while index < count, start[index] == 0x20 || start[index] == 0x09 { index &+= 1 }
    }

    /// Takes a byte after spaces; false if another one is there.
    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
        skipSpaces()
        guard index < count, start[index] == byte else { return false }
        index &+= 1
        return true
    }

    /// Takes a comma, or the closing byte: then returns false, and ``isClosed`` is true.
    @inline(__always)
    mutating func next(closing byte: UInt8) -> Bool {
        if take(0x2c) { return true }
        isClosed = take(byte)
        return false
    }

    /// A string, without its quotes; nil if there is none.
    @inline(__always)
    mutating func string() -> RowCell? {
        guard take(0x22) else { return nil }
        var cell = RowCell(start: start + index)
        let first = index
        while index < count, start[index] != 0x22 {
            if start[index] == 0x5c {
                cell.hasEscapes = true
                index &+= 1
            }
            index &+= 1
        }
        guard index < count else { return nil }
        cell.count = index &- first
        index &+= 1
        return cell
    }

    /// Any value: the text of a string, a number or a word, `null` as no text, an array or an object with its brackets; nil
    /// if there is none.
    @inline(__always)
    mutating func value() -> RowCell? {
        skipSpaces()
        guard index < count else { return nil }
        switch start[index] {
        case 0x22: return string()
        case 0x5b, 0x7b: return nested()
        default:
            let first = index
            while index < count, start[index] != 0x2c, start[index] != 0x7d, start[index] != 0x5d, start[index] != 0x20
            {
                index &+= 1
            }
            guard index > first else { return nil }
            let isNull = index &- first == 4 && start[first] == 0x6e
            return isNull ? RowCell() : RowCell(start: start + first, count: index &- first)
        }
    }

    /// An array or an object, by its brackets.
    private mutating func nested() -> RowCell? {
        let first = index
        var depth = 0
        while index < count {
            switch start[index] {
            case 0x5b, 0x7b: depth &+= 1
            case 0x5d, 0x7d: depth &-= 1
            case 0x22:
                guard string() != nil else { return nil }
                continue
            default: break
            }
            index &+= 1
            if depth == 0 { return RowCell(start: start + first, count: index &- first) }
        }
        return nil
    }
}
