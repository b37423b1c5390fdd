// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import RunDirectory

/// Reads a bundle, which may come from a stranger.
///
/// The manifest is the first member. It lists the others, and with it every byte of the archive's structure is
/// determined: a header that is not exactly the expected one is refused, so that links, devices, path escapes and extra
/// entries cannot occur. Contents are checked by their digests.
///
/// The container is a tar archive in one zstd frame (`tar --zstd -xf` unpacks it), read by these few lines and not by
/// libarchive: a general library accepts many forms of an entry (GNU and pax extensions, sparse files, links, owners), each
/// of which would have to be refused afterwards. Here a comparison of 512 bytes refuses them all, and libzstd, which logs
/// need anyway, stays the only library that sees unchecked bytes.
public struct BundleReader {
    /// What the bundle is.
    public let manifest: BundleManifest
    private let stream: FrameReader
    private let path: String

    /// Receives the members of a bundle in order.
    public protocol Receiver {
        /// The next member begins.
        mutating func begin(_ member: BundleManifest.Member) throws
        /// The next bytes of the member.
        mutating func write(_ bytes: UnsafeRawBufferPointer) throws
        /// The member is complete and has the right digest.
        mutating func end(_ member: BundleManifest.Member) throws
    }

    /// Opens a bundle and reads its manifest.
    public init(path: String, limits: BundleLimits = BundleLimits()) throws(BundleError) {
        self.path = path
        stream = try FrameReader(path: path)
        let name = BundleManifest.memberName
        let header = try stream.read(TarEntry.blockSize, member: name)
        guard let size = TarEntry.size(of: header), header == TarEntry.header(name: name, size: size) else {
            throw BundleReader.wrongHeader(header, expected: name, path: path, offset: 0)
        }
        guard size <= limits.manifest else {
            throw BundleError(
                file: path, member: name, offset: 0,
                kind: .limit(what: "bytes of the manifest", found: size, limit: limits.manifest))
        }
        let text = try stream.read(Int(size), member: name)
        manifest = try BundleManifest(json: text, file: path)
        try manifest.check(file: path, limits: limits)
        try BundleReader.skipPadding(stream, after: size, member: name, path: path)
        let total = manifest.members.reduce(0 as UInt64) { $0 + $1.size }
        let allowed = max(limits.smallBytes, stream.fileSize.multipliedReportingOverflow(by: limits.ratio).partialValue)
        guard total <= allowed else {
            throw BundleError(
                file: path,
                kind: .limit(what: "bytes of the members of a file of this size", found: total, limit: allowed))
        }
    }

    /// Reads all members, checks them, and passes them to a receiver. Can be called once.
    ///
    /// - Returns: the SHA-256 of the file.
    @discardableResult
    public consuming func readAll(into receiver: inout some Receiver) throws -> String {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { buffer.deallocate() }
        for member in manifest.members {
            let start = stream.offset
            let header = try stream.read(TarEntry.blockSize, member: member.name)
            guard header == TarEntry.header(name: member.name, size: member.size) else {
                throw BundleReader.wrongHeader(header, expected: member.name, path: path, offset: start)
            }
            try receiver.begin(member)
            var digest = FileDigest()
            var rest = member.size
            while rest > 0 {
                let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(rest, UInt64(buffer.count)))])
                try stream.read(into: piece, member: member.name)
                digest.update(UnsafeRawBufferPointer(piece))
                try receiver.write(UnsafeRawBufferPointer(piece))
                rest -= UInt64(piece.count)
            }
            let found = digest.finish()
            guard found == member.sha256 else {
                throw BundleError(
                    file: path, member: member.name, offset: start,
                    kind: .wrongDigest(expected: member.sha256, found: found))
            }
            try BundleReader.skipPadding(stream, after: member.size, member: member.name, path: path)
            try receiver.end(member)
        }
        let start = stream.offset
        let end = try stream.read(TarEntry.end.count, member: nil)
        if end != TarEntry.end {
            let header = Array(end.prefix(TarEntry.blockSize))
            throw BundleReader.wrongHeader(header, expected: nil, path: path, offset: start)
        }
        return try stream.requireEnd()
    }

    /// Reads and checks all members, and keeps nothing.
    public consuming func check() throws {
        struct Nowhere: Receiver {
            mutating func begin(_ member: BundleManifest.Member) {}
            mutating func write(_ bytes: UnsafeRawBufferPointer) {}
            mutating func end(_ member: BundleManifest.Member) {}
        }
        var nowhere = Nowhere()
        try readAll(into: &nowhere)
    }

    private static func skipPadding(
        _ stream: FrameReader, after size: UInt64, member: String, path: String
    ) throws(BundleError) {
        let start = stream.offset
        let padding = try stream.read(TarEntry.padding(after: size), member: member)
        guard padding.allSatisfy({ $0 == 0 }) else {
            throw BundleError(file: path, member: member, offset: start, kind: .badHeader)
        }
    }

    /// What is wrong with a header that is not the expected one.
    private static func wrongHeader(
        _ header: [UInt8], expected: String?, path: String, offset: UInt64
    ) -> BundleError {
        let name = TarEntry.name(of: header)
        let kind: BundleError.Kind
        if let what = TarEntry.kind(of: header) {
            kind = .notAFile(what: what)
        } else if !MemberName.isValid(name) {
            kind = .badName
        } else if name != expected {
            kind = .otherMember(expected: expected ?? "no more members")
        } else {
            kind = .badHeader
        }
        return BundleError(file: path, member: name, offset: offset, kind: kind)
    }
}
