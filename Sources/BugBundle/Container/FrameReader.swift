// SPDX-License-Identifier: GPL-2.0-or-later

import CZstd
import Glibc
import RunDirectory

/// Reads the one zstd frame of a bundle, a bounded piece at a time, and the digest of the file.
final class FrameReader {
    private let path: String
    private let descriptor: Int32
    private let context: OpaquePointer
    private let buffer: UnsafeMutableRawBufferPointer
    private var input = ZSTD_inBuffer(src: nil, size: 0, pos: 0)
    private var isFrameComplete = false
    private var digest = FileDigest()
    /// Bytes of the archive that were read.
    private(set) var offset: UInt64 = 0
    /// The size of the compressed file.
    let fileSize: UInt64

    /// The magic number of a zstd frame (RFC 8878, 3.1.1).
    private static let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

    init(path: String) throws(BundleError) {
        self.path = path
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw BundleError(file: path, kind: .system(doing: "open it", code: errno)) }
        var status = stat()
        var first = [UInt8](repeating: 0, count: 4)
        let isRegular = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        let count = isRegular ? pread(descriptor, &first, 4, 0) : 0
        guard isRegular, first == FrameReader.magic, let context = ZSTD_createDCtx() else {
            close(descriptor)
            if !isRegular { throw BundleError(file: path, kind: .system(doing: "read it", code: EISDIR)) }
            throw BundleError(file: path, kind: .notABundle(firstBytes: Array(first.prefix(max(0, count)))))
        }
        self.descriptor = descriptor
        self.context = context
        fileSize = UInt64(max(0, status.st_size))
        buffer = .allocate(byteCount: 1 << 17, alignment: 16)
        _ = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, BundleLimits.windowLog)
    }

    deinit {
        ZSTD_freeDCtx(context)
        buffer.deallocate()
        close(descriptor)
    }

    /// Fills the buffer with the next bytes of the archive.
    func read(into target: UnsafeMutableRawBufferPointer, member: String?) throws(BundleError) {
        var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        while output.pos < output.size {
            if isFrameComplete { throw error(.truncated, member) }
            if input.pos == input.size, try !fill() { throw error(.truncated, member) }
            let rest = ZSTD_decompressStream(context, &output, &input)
            guard ZSTD_isError(rest) == 0 else {
                throw error(.damagedCompression(String(cString: ZSTD_getErrorName(rest))), member)
            }
            isFrameComplete = rest == 0
        }
        offset += UInt64(output.pos)
    }

    /// The next bytes of the archive.
    func read(_ count: Int, member: String?) throws(BundleError) -> [UInt8] {
        var failure: BundleError?
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { raw in
            do throws(BundleError) { try read(into: raw, member: member) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Throws unless the frame and the file end here.
    ///
    /// - Returns: the SHA-256 of the file.
    func requireEnd() throws(BundleError) -> String {
        var byte: UInt8 = 0
        while !isFrameComplete {
            if input.pos == input.size, try !fill() { throw error(.truncated, nil) }
            let rest = withUnsafeMutableBytes(of: &byte) { raw in
                var output = ZSTD_outBuffer(dst: raw.baseAddress, size: 1, pos: 0)
                let rest = ZSTD_decompressStream(context, &output, &input)
                return output.pos > 0 ? nil : rest
            }
            guard let rest else { throw error(.trailingData, nil) }
            guard ZSTD_isError(rest) == 0 else {
                throw error(.damagedCompression(String(cString: ZSTD_getErrorName(rest))), nil)
            }
            isFrameComplete = rest == 0
        }
        let hasMore = input.pos < input.size ? true : try fill()
        if hasMore { throw error(.trailingData, nil) }
        return digest.finish()
    }

    /// Reads more of the file; false at its end.
    private func fill() throws(BundleError) -> Bool {
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw error(.system(doing: "read it", code: errno), nil) }
            digest.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            input = ZSTD_inBuffer(src: buffer.baseAddress, size: count, pos: 0)
            return count > 0
        }
    }

    func error(_ kind: BundleError.Kind, _ member: String?) -> BundleError {
        BundleError(file: path, member: member, offset: offset, kind: kind)
    }
}
