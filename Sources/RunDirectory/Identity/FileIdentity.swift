// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// The identity of a file at the beginning of a run.
public struct FileIdentity: Codable, Hashable, Sendable {
    /// Absolute; relative to the run's own directory for a file in it.
    public var path: String
    /// Bytes.
    @StringCoded public var size: UInt64
    /// 64 hexadecimal digits, as `sha256sum` prints them; empty for a file that was not read because its size differs.
    public var sha256: String

    /// An identity that is known already.
    public init(path: String, size: UInt64, sha256: String) {
        self.path = path
        self.size = size
        self.sha256 = sha256
    }

    /// Reads the complete file.
    ///
    /// - Parameters:
    ///   - path: links are resolved; the identity holds the absolute path.
    ///   - what: the file's role, for errors: "kernel".
    ///   - progress: receives the bytes read since the last call, every 16 MiB.
    /// - Throws: ``RunError`` for a file that cannot be read or is no regular file.
    public init(
        of path: String, what: String, progress: (UInt64) -> Void = { _ in }
    ) throws(RunError) {
        let absolute = try Files.absolute(path, what: what)
        let file = try PlainFile(absolute, what: what)
        self.init(path: absolute, size: 0, sha256: "")
        (size, sha256) = try FileIdentity.read(file, progress: progress)
    }

    /// Reads an open file.
    package init(reading file: borrowing PlainFile) throws(RunError) {
        self.init(path: file.path, size: 0, sha256: "")
        (size, sha256) = try FileIdentity.read(file)
    }

    /// The size and the digest of an open file.
    static func read(
        _ file: borrowing PlainFile, progress: (UInt64) -> Void = { _ in }
    ) throws(RunError) -> (size: UInt64, sha256: String) {
        var digest = FileDigest()
        var size: UInt64 = 0
        var unreported: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = try file.read(into: buffer)
            if count == 0 { break }
            digest.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            size &+= UInt64(count)
            unreported &+= UInt64(count)
            if unreported >= 16 << 20 {
                progress(unreported)
                unreported = 0
            }
        }
        progress(unreported)
        return (size, digest.finish())
    }

    /// The file's name without its directory.
    public var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Path, size and the beginning of the digest, for messages.
    package var summary: String {
        sha256.isEmpty ? "\(path) (\(size) bytes)" : "\(path) (\(size) bytes, sha256 \(sha256.prefix(12))…)"
    }
}
