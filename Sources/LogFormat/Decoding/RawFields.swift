// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Little-endian fields of a byte buffer at fixed offsets. The caller has checked the buffer's size.
struct RawFields {
    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    func uint8(_ offset: Int) -> UInt8 { bytes[offset] }
    func uint16(_ offset: Int) -> UInt16 {
        UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    func uint32(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    func uint64(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

extension UnsafeRawBufferPointer {
    /// The first `count` bytes, or all of them if there are fewer.
    func prefixed(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: baseAddress, count: Swift.max(0, Swift.min(count, self.count)))
    }
}

/// CRC32C of a structure of at most 4096 bytes. Its own 4-byte checksum field, at `offset`, counts as zero.
func checksum(_ bytes: UnsafeRawBufferPointer, fieldAt offset: Int) -> UInt32 {
    withUnsafeTemporaryAllocation(byteCount: bytes.count, alignment: 8) { copy in
        copy.copyMemory(from: bytes)
        for index in offset..<(offset + 4) where index < copy.count { copy[index] = 0 }
        return ttlog_crc32c(0, copy.baseAddress, copy.count)
    }
}

/// A number in hexadecimal, at least that many digits, without a prefix.
func hexadecimal(_ value: UInt64, digits: Int = 1) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
