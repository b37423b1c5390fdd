// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// A file that a run depends on, as it was when the run began.
public struct FileIdentity: Codable, Hashable, Sendable {
    /// Absolute.
    public var path: String
    /// Bytes.
    @StringCoded public var size: UInt64
    /// 64 hexadecimal digits, as `sha256sum` prints them.
    public var sha256: String

    public init(path: String, size: UInt64, sha256: String) {
        self.path = path
        self.size = size
        self.sha256 = sha256
    }

    /// Reads the whole file.
    public init(of path: String, what: String) throws(SessionError) {
        let absolute = try Files.absolute(path, what: what)
        let descriptor = open(absolute, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(doing: "open \(what)", path: absolute, code: errno) }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            throw .system(doing: "look at", path: absolute, code: errno)
        }
        guard information.st_mode & S_IFMT != S_IFDIR else {
            throw .system(doing: "read \(what)", path: absolute, code: EISDIR)
        }
        var hash = SHA256()
        var size: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count == 0 { break }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw .system(doing: "read", path: absolute, code: errno)
            }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            size &+= UInt64(count)
        }
        self.init(path: absolute, size: size, sha256: hash.finish())
    }
}
