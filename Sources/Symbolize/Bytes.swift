// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A stretch of memory that somebody else keeps alive (a mapped file, an inflated section). Reads outside of it give
/// `nil` or zero, never a trap: the offsets come from files.
package struct Bytes: @unchecked Sendable {
    package let start: UnsafeRawPointer
    package let count: Int

    package static let empty = Bytes(start: UnsafeRawPointer(bitPattern: 8)!, count: 0)

    package var end: UnsafeRawPointer { start + count }

    /// The part from `offset` on, `length` bytes; `nil` if it does not lie within.
    package func slice(_ offset: UInt64, _ length: UInt64) -> Bytes? {
        guard offset <= UInt64(count), length <= UInt64(count) &- offset else { return nil }
        return Bytes(start: start + Int(offset), count: Int(length))
    }

    /// Everything from `offset` on; nothing when that is past the end.
    package func from(_ offset: UInt64) -> Bytes {
        guard offset < UInt64(count) else { return .empty }
        return Bytes(start: start + Int(offset), count: count &- Int(offset))
    }

    /// A little-endian number at `offset`; `nil` past the end.
    package func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: UInt64, as type: T.Type = T.self) -> T? {
        let size = UInt64(MemoryLayout<T>.size)
        guard offset <= UInt64(count), size <= UInt64(count) &- offset else { return nil }
        return T(littleEndian: (start + Int(offset)).loadUnaligned(as: T.self))
    }

    /// The NUL-terminated string at `offset`; `nil` if none ends within.
    package func string(_ offset: UInt64) -> UnsafePointer<CChar>? {
        guard offset < UInt64(count) else { return nil }
        let text = start + Int(offset)
        guard memchr(text, 0, count &- Int(offset)) != nil else { return nil }
        return text.assumingMemoryBound(to: CChar.self)
    }

    package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}
