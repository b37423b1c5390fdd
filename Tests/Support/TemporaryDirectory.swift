// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// A directory of its own for one test, removed with all that is in it when the last reference goes.
public final class TemporaryDirectory: Sendable {
    public let path: String

    /// Creates it under `TMPDIR`, or `/tmp`.
    public init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/tt-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestFileError(path: base, errno: errno) }
        path = template.withUnsafeBufferPointer { buffer in
            String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    deinit { TemporaryDirectory.remove(path) }

    /// The path of a file in the directory.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                guard name != ".", name != ".." else { continue }
                let child = "\(path)/\(name)"
                var status = stat()
                if lstat(child, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                    remove(child)
                } else {
                    unlink(child)
                }
            }
            closedir(directory)
        }
        rmdir(path)
    }
}

/// A new directory for one test.
public func temporaryDirectory() throws -> TemporaryDirectory { try TemporaryDirectory() }

/// A file that a test needs could not be read or written.
public struct TestFileError: Error, CustomStringConvertible {
    public var path: String
    public var errno: Int32

    public var description: String { "\(path): \(String(cString: strerror(errno)))" }
}

extension TemporaryDirectory {
    /// Writes an executable file of text and returns its path.
    public func write(_ name: String, _ text: String) throws -> String {
        let path = file(name)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o755)
        guard descriptor >= 0 else { throw TestFileError(path: path, errno: errno) }
        defer { close(descriptor) }
        var text = text
        let count = text.withUTF8 { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count == text.utf8.count else { throw TestFileError(path: path, errno: errno) }
        return path
    }
}
