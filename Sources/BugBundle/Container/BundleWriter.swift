// SPDX-License-Identifier: GPL-2.0-or-later

import CZstd
import Glibc
import LogFormat
import RunDirectory

/// A member of a bundle that is being made.
public struct BundleMember: Sendable {
    /// Where its bytes come from.
    public enum Content: Sendable {
        /// They are here.
        case bytes([UInt8])
        /// They are in a file that does not change while the bundle is written.
        case file(String)
    }

    /// The name in the bundle.
    public var name: String
    /// The bytes.
    public var content: Content

    /// Makes a member.
    public init(_ name: String, _ content: Content) {
        self.name = name
        self.content = content
    }

    /// Calls `body` with the bytes, piece after piece.
    func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        switch content {
        case .bytes(let bytes): try bytes.withUnsafeBytes(body)
        case .file(let path):
            let file = try PlainFile(path, what: "member of the bundle")
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
            defer { buffer.deallocate() }
            while true {
                let count = try file.read(into: buffer)
                if count == 0 { return }
                try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
    }
}

/// Writes bundles. The same members and the same libzstd give the same bytes.
public enum BundleWriter {
    /// The level of zstd's compression: higher ones save little, as logs are compressed already.
    private static let level: Int32 = 6
    /// The memory that a reader needs for the window, as a power of two: two slices fit.
    private static let windowLog: Int32 = 24

    /// Writes a bundle. The file gets its name when it is complete.
    ///
    /// - Parameters:
    ///   - manifest: What the bundle is; the list of members is filled in here.
    ///   - members: In the order of the archive; their names are valid and differ.
    ///   - replacing: Whether an existing file may be replaced.
    /// - Returns: The size of the file.
    @discardableResult
    public static func write(
        _ manifest: BundleManifest, _ members: [BundleMember], to path: String, replacing: Bool = true
    ) throws -> UInt64 {
        var manifest = manifest
        manifest.members = try members.map { member in
            var (digest, size) = (FileDigest(), 0 as UInt64)
            try member.forEachPiece {
                digest.update($0)
                size += UInt64($0.count)
            }
            return BundleManifest.Member(name: member.name, size: size, sha256: digest.finish())
        }
        let text = try manifest.json()
        try manifest.check(file: path, limits: BundleLimits())
        let file = try PendingFile(for: path)
        let stream = try FrameWriter(file.descriptor, path: path, level: level, windowLog: windowLog)
        try stream.write(TarEntry.header(name: BundleManifest.memberName, size: UInt64(text.count)))
        try stream.write(text)
        try stream.write([UInt8](repeating: 0, count: TarEntry.padding(after: UInt64(text.count))))
        for (member, listed) in zip(members, manifest.members) {
            try stream.write(TarEntry.header(name: member.name, size: listed.size))
            var size: UInt64 = 0
            try member.forEachPiece { bytes in
                size += UInt64(bytes.count)
                try stream.write(bytes)
            }
            guard size == listed.size else {
                throw BundleError(
                    file: path, member: member.name,
                    kind: .limit(
                        what: "the file grew while it was read", found: size, limit: listed.size))
            }
            try stream.write([UInt8](repeating: 0, count: TarEntry.padding(after: size)))
        }
        try stream.write(TarEntry.end)
        let size = try stream.finish()
        try file.publish(as: path, replacing: replacing)
        return size
    }
}

/// One zstd frame with a checksum, written to a file.
private final class FrameWriter {
    private let context: OpaquePointer
    private let descriptor: Int32
    private let path: String
    private let buffer: UnsafeMutableRawBufferPointer
    private var written: UInt64 = 0

    init(_ descriptor: Int32, path: String, level: Int32, windowLog: Int32) throws(BundleError) {
        guard let context = ZSTD_createCCtx() else {
            throw BundleError(file: path, kind: .system(doing: "compress", code: ENOMEM))
        }
        self.context = context
        self.descriptor = descriptor
        self.path = path
        buffer = .allocate(byteCount: max(ZSTD_CStreamOutSize(), 1 << 16), alignment: 16)
        for (parameter, value) in [
            (ZSTD_c_compressionLevel, level), (ZSTD_c_windowLog, windowLog), (ZSTD_c_checksumFlag, 1),
            (ZSTD_c_enableLongDistanceMatching, 1), (ZSTD_c_contentSizeFlag, 0),
        ] {
            _ = ZSTD_CCtx_setParameter(context, parameter, value)
        }
    }

    deinit {
        ZSTD_freeCCtx(context)
        buffer.deallocate()
    }

    func write(_ bytes: [UInt8]) throws(BundleError) {
        var failure: BundleError?
        bytes.withUnsafeBytes { raw in
            do throws(BundleError) { try write(raw) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(BundleError) {
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        while input.pos < input.size { _ = try step(&input, ZSTD_e_continue) }
    }

    /// Ends the frame; returns the size of the file.
    func finish() throws(BundleError) -> UInt64 {
        var input = ZSTD_inBuffer(src: nil, size: 0, pos: 0)
        while try step(&input, ZSTD_e_end) > 0 {}
        return written
    }

    private func step(_ input: inout ZSTD_inBuffer, _ directive: ZSTD_EndDirective) throws(BundleError) -> Int {
        var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
        let rest = ZSTD_compressStream2(context, &output, &input, directive)
        guard ZSTD_isError(rest) == 0 else {
            throw BundleError(file: path, kind: .damagedCompression(String(cString: ZSTD_getErrorName(rest))))
        }
        let code = Files.write(UnsafeRawBufferPointer(rebasing: buffer[..<output.pos]), to: descriptor)
        guard code == 0 else { throw BundleError(file: path, kind: .system(doing: "write", code: code)) }
        written += UInt64(output.pos)
        return rest
    }
}
