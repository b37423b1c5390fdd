// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import CZlib
import Glibc

/// A section that was compressed in its file, inflated into memory of its own.
final class Inflated: @unchecked Sendable {
    let bytes: Bytes
    private let memory: UnsafeMutableRawPointer

    deinit { free(memory) }

    /// More than this a section cannot grow: zlib's own limit is 1032, and what zstd does beyond it is an attack here.
    private static let largestRatio: UInt64 = 2000

    /// A section with flag SHF_COMPRESSED: a header (`Elf32_Chdr`, `Elf64_Chdr`), then zlib or zstd data.
    convenience init?(compressedSection raw: Bytes, is64Bit: Bool) {
        guard let type: UInt32 = raw.load(0) else { return nil }
        let size = is64Bit ? raw.load(8) : raw.load(4, as: UInt32.self).map(UInt64.init)
        guard let size else { return nil }
        self.init(raw.from(is64Bit ? 24 : 12), size: size, isZstandard: type == 2, isKnown: type == 1 || type == 2)
    }

    /// A `.zdebug_` section: "ZLIB", the size as eight big-endian bytes, zlib data.
    convenience init?(oldStyleSection raw: Bytes) {
        guard raw.load(0, as: UInt32.self) == 0x4249_4c5a, let size: UInt64 = raw.load(4) else { return nil }
        self.init(raw.from(12), size: size.byteSwapped, isZstandard: false, isKnown: true)
    }

    private init?(_ stored: Bytes, size: UInt64, isZstandard: Bool, isKnown: Bool) {
        guard isKnown, size > 0, size / Inflated.largestRatio <= UInt64(stored.count), let count = Int(exactly: size),
            let memory = malloc(count)
        else { return nil }
        let isWhole: Bool
        if isZstandard {
            isWhole = ttlog_decompress(memory, count, stored.start, stored.count) == 0
        } else {
            var length = uLongf(count)
            let target = memory.assumingMemoryBound(to: Bytef.self)
            let source = stored.start.assumingMemoryBound(to: Bytef.self)
            isWhole = uncompress(target, &length, source, uLong(stored.count)) == Z_OK && length == uLongf(count)
        }
        guard isWhole else {
            free(memory)
            return nil
        }
        self.memory = memory
        bytes = Bytes(start: UnsafeRawPointer(memory), count: count)
    }
}

/// The CRC-32 that `.gnu_debuglink` uses (zlib's polynomial).
func debugLinkChecksum(_ bytes: Bytes) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_z(0, bytes.start.assumingMemoryBound(to: Bytef.self), bytes.count))
}
