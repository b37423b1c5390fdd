// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The bytes of a log, to be damaged in ways that checksums notice, or, with ``repair()``, in ways that they do not.
struct LogImage {
    var bytes: [UInt8]

    static let headerSize = 4096
    static let chunkHeaderSize = 192
    static let trailerSize = 64

    /// Offsets of the chunks: every multiple of 64 with a chunk's magic and its own offset. (A directory holds images of
    /// headers that name other places.)
    var chunks: [Int] {
        places { word(at: $0, UInt32.self) == TTLOG_CHUNK_MAGIC && word(at: $0 + 16, UInt64.self) == UInt64($0) }
    }
    /// Offsets of the trailers.
    var trailers: [Int] { places { word(at: $0, UInt64.self) == TTLOG_TRAILER_MAGIC } }

    private func places(_ isWanted: (Int) -> Bool) -> [Int] {
        stride(from: LogImage.headerSize, to: bytes.count, by: 64).filter(isWanted)
    }

    /// A number in the image; 0 after its end.
    func word<Word: FixedWidthInteger & BitwiseCopyable>(at offset: Int, _: Word.Type) -> Word {
        let size = MemoryLayout<Word>.size
        guard offset >= 0, offset + size <= bytes.count else { return 0 }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Word.self) }
    }

    /// Puts a number into the image; does nothing after its end.
    mutating func set<Word: FixedWidthInteger & BitwiseCopyable>(_ value: Word, at offset: Int) {
        guard offset >= 0, offset + MemoryLayout<Word>.size <= bytes.count else { return }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: Word.self) }
    }

    mutating func flip(bit: Int) {
        guard bit / 8 < bytes.count else { return }
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    }

    var nonce: UInt64 { word(at: 24, UInt64.self) }

    func stream(ofChunkAt offset: Int) -> UInt8 { offset + 32 < bytes.count ? bytes[offset + 32] : 0 }
    func storedSize(ofChunkAt offset: Int) -> Int { Int(word(at: offset + 28, UInt32.self)) }

    /// The place after a chunk, padding included.
    func end(ofChunkAt offset: Int) -> Int {
        (offset + LogImage.chunkHeaderSize + storedSize(ofChunkAt: offset) + 63) / 64 * 64
    }
}

// MARK: - Checksums made right
extension LogImage {
    mutating func repairFileHeader() {
        setChecksum(at: 12, of: 0..<LogImage.headerSize)
    }

    /// Gives a chunk its place, the log's nonce, its body's hash and its own checksum.
    mutating func repairChunk(at offset: Int, withHash: Bool = true) {
        set(nonce, at: offset + 8)
        set(UInt64(offset), at: offset + 16)
        let body = offset + LogImage.chunkHeaderSize
        let size = storedSize(ofChunkAt: offset)
        if withHash, size > 0, body + size <= bytes.count {
            set(
                bytes[body..<(body + size)].withUnsafeBytes { ttlog_hash($0.baseAddress, $0.count, 0) },
                at: offset + 112)
        }
        setChecksum(at: offset + 4, of: offset..<(offset + LogImage.chunkHeaderSize))
    }

    mutating func repairTrailer(at offset: Int) {
        set(nonce, at: offset + 16)
        set(UInt64(offset), at: offset + 24)
        setChecksum(at: offset + 8, of: offset..<(offset + LogImage.trailerSize))
    }

    /// Makes every checksum right that there is.
    mutating func repair() {
        repairFileHeader()
        for offset in chunks { repairChunk(at: offset) }
        for offset in trailers { repairTrailer(at: offset) }
    }

    /// Writes the checksum of a structure if the image contains all of it.
    mutating func setChecksum(at field: Int, of range: Range<Int>) {
        guard range.upperBound <= bytes.count else { return }
        set(UInt32(0), at: field)
        set(bytes[range].withUnsafeBytes { ttlog_crc32c(0, $0.baseAddress, $0.count) }, at: field)
    }
}

// MARK: - Open files
extension LogImage {
    /// Makes the checksums of an open file right: its header's and its descriptors'.
    mutating func repairOpenFile() {
        setChecksum(at: 12, of: 0..<64)
        let slots = min(Int(word(at: 24, UInt32.self)), 2000)
        for slot in 0..<slots {
            let offset = 4096 + slot * 64
            setChecksum(at: offset + 20, of: offset..<(offset + 64))
        }
    }
}
