// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc

/// A second, small reader of logs. It shares no code with the library's reader, so that a test of the writer does not depend
/// on the code under test. It records bytes that it does not understand as a problem.
struct LogImage {
    var bytes: [UInt8]
    var header = ttlog_file_header()
    var chunks: [ChunkImage] = []
    var directories: [ChunkImage] = []
    var trailers: [ttlog_trailer] = []
    var problems: [String] = []
    /// The end of the last complete element.
    var end = 0

    init(path: String) throws {
        try self.init(bytes: readFile(path))
    }

    init(bytes: [UInt8]) {
        self.bytes = bytes
        guard bytes.count >= Int(TTLOG_FILE_HEADER_SIZE) else {
            problems.append("no file header")
            return
        }
        header = load(bytes, 0)
        check(checksum(bytes, 0, 4096, field: 12) == header.header_crc, "file header checksum")
        walk()
    }

    private mutating func check(_ condition: Bool, _ what: String) {
        if !condition { problems.append("\(what) wrong at \(end)") }
    }

    private mutating func walk() {
        end = 4096
        while end + 64 <= bytes.count {
            if bytes[end] == 0x54, bytes[end + 2] == 0x45 {
                let trailer: ttlog_trailer = load(bytes, end)
                check(checksum(bytes, end, 64, field: 8) == trailer.trailer_crc, "trailer checksum")
                check(trailer.offset == UInt64(end) && trailer.nonce == header.nonce, "trailer identity")
                trailers.append(trailer)
                end += 64
                continue
            }
            guard end + 192 <= bytes.count else { return }
            let chunk: ttlog_chunk_header = load(bytes, end)
            let bodyEnd = end + 192 + Int(chunk.stored_size)
            guard chunk.magic == TTLOG_CHUNK_MAGIC, (bodyEnd + 63) / 64 * 64 <= bytes.count else { return }
            check(checksum(bytes, end, 192, field: 4) == chunk.header_crc, "chunk checksum")
            check(chunk.offset == UInt64(end) && chunk.nonce == header.nonce, "chunk identity")
            let image = ChunkImage(header: chunk, stored: Array(bytes[(end + 192)..<bodyEnd]))
            check(image.bodyHashIsRight, "body hash")
            if UInt32(chunk.stream) == TTLOG_STREAM_DIRECTORY.rawValue {
                directories.append(image)
            } else {
                chunks.append(image)
            }
            end = (bodyEnd + 63) / 64 * 64
            check(bytes[bodyEnd..<end].allSatisfy { $0 == 0 }, "padding")
        }
    }

    func chunks(_ stream: ttlog_stream, vcpu: UInt16 = 0) -> [ChunkImage] {
        chunks.filter { UInt32($0.header.stream) == stream.rawValue && $0.header.vcpu == vcpu }
    }

    var metaChunks: [ChunkImage] { chunks(TTLOG_STREAM_META, vcpu: 0xffff) }

    /// The last 64 bytes are a trailer that ends the log.
    var isClosed: Bool {
        guard end == bytes.count, let last = trailers.last else { return false }
        return Int(last.offset) + 64 == end && last.flags & TTLOG_TRAILER_CONTINUES == 0
    }
}

/// A chunk header and its stored body.
struct ChunkImage {
    var header: ttlog_chunk_header
    var stored: [UInt8]

    var digests: [UInt64] { [header.digest.0, header.digest.1, header.digest.2, header.digest.3] }
    var isElided: Bool { header.flags & TTLOG_CHUNK_ELIDED != 0 }
    func has(_ flag: UInt32) -> Bool { header.flags & flag != 0 }

    var bodyHashIsRight: Bool {
        isElided
            ? header.body_hash == 0 && stored.isEmpty
            : stored.withUnsafeBytes { ttlog_hash($0.baseAddress, $0.count, 0) } == header.body_hash
    }

    /// The header fields that must be equal in two logs of the same records.
    var compared: [UInt64] {
        [
            UInt64(header.stream), UInt64(header.vcpu), UInt64(header.epoch), UInt64(header.part), header.cell,
            UInt64(header.count), header.first_ordinal, header.clock_first, header.clock_last, header.icount_first,
            header.icount_last, header.chain,
        ] + digests
    }

    /// The raw body; nil if it does not decompress.
    var raw: [UInt8]? {
        guard UInt32(header.codec) == TTLOG_CODEC_ZSTD.rawValue else { return stored }
        var raw = [UInt8](repeating: 0, count: Int(header.raw_size))
        let result = raw.withUnsafeMutableBytes { raw in
            stored.withUnsafeBytes { ttlog_decompress(raw.baseAddress, raw.count, $0.baseAddress, $0.count) }
        }
        return result == 0 ? raw : nil
    }

    /// The columns of the raw body; nil if their sizes do not add up.
    func columns(_ count: Int) -> [[UInt8]]? {
        guard let raw, raw.count == Int(header.raw_size), raw.count >= 4 * count else { return nil }
        var place = 4 * count
        var columns: [[UInt8]] = []
        for column in 0..<count {
            let size: UInt32 = load(raw, 4 * column)
            guard place + Int(size) <= raw.count else { return nil }
            columns.append(Array(raw[place..<(place + Int(size))]))
            place += Int(size)
        }
        return place == raw.count ? columns : nil
    }
}

/// The bytes of a file.
func readFile(_ path: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { throw FileProblem(path: path, code: errno) }
    defer { close(descriptor) }
    var status = stat()
    fstat(descriptor, &status)
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var done = 0
    while done < bytes.count {
        let got = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + done, $0.count - done) }
        guard got > 0 else { throw FileProblem(path: path, code: errno) }
        done += got
    }
    return bytes
}

func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw FileProblem(path: path, code: errno) }
    defer { close(descriptor) }
    guard bytes.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == bytes.count else {
        throw FileProblem(path: path, code: errno)
    }
}

func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

struct FileProblem: Error {
    var path: String
    var code: Int32
}

func load<Value: BitwiseCopyable>(_ bytes: [UInt8], _ offset: Int) -> Value {
    bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Value.self) }
}

/// CRC32C of a structure whose own checksum field (four bytes at `field`) counts as zero.
func checksum(_ bytes: [UInt8], _ offset: Int, _ size: Int, field: Int) -> UInt32 {
    var copy = Array(bytes[offset..<(offset + size)])
    for byte in field..<(field + 4) { copy[byte] = 0 }
    return copy.withUnsafeBytes { ttlog_crc32c(0, $0.baseAddress, $0.count) }
}
