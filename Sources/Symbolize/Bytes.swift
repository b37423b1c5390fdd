// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A stretch of memory that somebody else keeps alive (a mapped file, an inflated section). Reads outside of it give
/// `nil` or zero, never a trap: the offsets come from files.
struct Bytes: @unchecked Sendable {
    let start: UnsafeRawPointer
    let count: Int

    static let empty = Bytes(start: UnsafeRawPointer(bitPattern: 8)!, count: 0)

    var end: UnsafeRawPointer { start + count }

    /// The part from `offset` on, `length` bytes; `nil` when it does not lie within.
    func slice(_ offset: UInt64, _ length: UInt64) -> Bytes? {
        guard offset <= UInt64(count), length <= UInt64(count) &- offset else { return nil }
        return Bytes(start: start + Int(offset), count: Int(length))
    }

    /// Everything from `offset` on; nothing when that is past the end.
    func from(_ offset: UInt64) -> Bytes {
        guard offset < UInt64(count) else { return .empty }
        return Bytes(start: start + Int(offset), count: count &- Int(offset))
    }

    /// A little-endian number at `offset`; `nil` past the end.
    func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: UInt64, as type: T.Type = T.self) -> T? {
        let size = UInt64(MemoryLayout<T>.size)
        guard offset <= UInt64(count), size <= UInt64(count) &- offset else { return nil }
        return T(littleEndian: (start + Int(offset)).loadUnaligned(as: T.self))
    }

    /// The NUL-terminated string at `offset`; `nil` where none ends within.
    func string(_ offset: UInt64) -> UnsafePointer<CChar>? {
        guard offset < UInt64(count) else { return nil }
        let text = start + Int(offset)
        guard memchr(text, 0, count &- Int(offset)) != nil else { return nil }
        return text.assumingMemoryBound(to: CChar.self)
    }

    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}

/// Reads numbers one after the other. Reading past the end gives zeros and sets `isDamaged`; the cursor then stays at
/// the end, so that loops that run until the end do end.
struct ByteCursor {
    private(set) var position: UnsafeRawPointer
    let end: UnsafeRawPointer
    private(set) var isDamaged = false

    init(_ bytes: Bytes) {
        position = bytes.start
        end = bytes.end
    }

    init(from position: UnsafeRawPointer, to end: UnsafeRawPointer) {
        self.position = position
        self.end = end
    }

    var isAtEnd: Bool { position >= end }
    var remaining: Int { end - position }

    @inline(never)
    private mutating func fail() {
        isDamaged = true
        position = end
    }

    @inline(__always)
    mutating func read<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type = T.self) -> T {
        guard end - position >= MemoryLayout<T>.size else {
            fail()
            return 0
        }
        let value = position.loadUnaligned(as: T.self)
        position += MemoryLayout<T>.size
        return T(littleEndian: value)
    }

    @inline(__always) mutating func u8() -> UInt64 { UInt64(read(UInt8.self)) }
    @inline(__always) mutating func u16() -> UInt64 { UInt64(read(UInt16.self)) }
    @inline(__always) mutating func u32() -> UInt64 { UInt64(read(UInt32.self)) }
    @inline(__always) mutating func u64() -> UInt64 { read(UInt64.self) }

    mutating func u24() -> UInt64 { u16() | u8() << 16 }

    /// A number of 4 or 8 bytes (DWARF's offsets), or of 1 or 2 (addresses of small machines).
    @inline(__always)
    mutating func number(size: UInt8) -> UInt64 {
        switch size {
        case 4: u32()
        case 8: u64()
        case 2: u16()
        case 1: u8()
        default:
            {
                fail()
                return 0
            }()
        }
    }

    @inline(__always)
    mutating func skip(_ count: Int) {
        guard count >= 0, end - position >= count else { return fail() }
        position += count
    }

    mutating func skip(_ count: UInt64) {
        guard count <= UInt64(end - position) else { return fail() }
        position += Int(count)
    }

    /// Goes on at a place further on (at most the end).
    @inline(__always)
    mutating func jump(to target: UnsafeRawPointer) {
        guard target >= position, target <= end else { return fail() }
        position = target
    }

    /// An unsigned LEB128 number; bits past the 64th are dropped.
    @inline(__always)
    mutating func uleb() -> UInt64 {
        guard position < end else {
            fail()
            return 0
        }
        let first = position.load(as: UInt8.self)
        position += 1
        return first < 0x80 ? UInt64(first) : longULEB(first)
    }

    private mutating func longULEB(_ first: UInt8) -> UInt64 {
        var result = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while position < end {
            let byte = position.load(as: UInt8.self)
            position += 1
            if shift < 64 { result |= UInt64(byte & 0x7f) &<< shift }
            shift &+= 7
            if byte < 0x80 { return result }
        }
        fail()
        return 0
    }

    /// A signed LEB128 number.
    mutating func sleb() -> Int64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while position < end {
            let byte = position.load(as: UInt8.self)
            position += 1
            if shift < 64 { result |= UInt64(byte & 0x7f) &<< shift }
            shift &+= 7
            if byte < 0x80 {
                if byte & 0x40 != 0, shift < 64 { result |= UInt64.max &<< shift }
                return Int64(bitPattern: result)
            }
        }
        fail()
        return 0
    }

    mutating func skipLEB() {
        while position < end {
            let byte = position.load(as: UInt8.self)
            position += 1
            if byte < 0x80 { return }
        }
        fail()
    }

    /// A NUL-terminated string; the cursor ends behind it.
    mutating func string() -> UnsafePointer<CChar>? {
        guard let nul = memchr(position, 0, remaining) else {
            fail()
            return nil
        }
        let text = position.assumingMemoryBound(to: CChar.self)
        position = UnsafeRawPointer(nul) + 1
        return text
    }
}
