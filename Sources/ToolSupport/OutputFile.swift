// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat

/// A file that a command writes.
public enum OutputFile {
    /// Refuses to write over a file that the same command reads.
    ///
    /// - Parameters:
    ///   - path: The file to write; it need not exist.
    ///   - inputs: The files that the command reads.
    /// - Throws: ``RuntimeError`` if one of the inputs is the same file, also under another name.
    public static func refuse(_ path: String, overInputs inputs: [String]) throws {
        guard let output = identity(path) else { return }
        for input in inputs where identity(input) == output {
            throw RuntimeError("\(path): is the input \(input); name another file")
        }
    }

    /// Writes a text. A file has its name only when it is complete; until then an existing file stays as it is. The name
    /// of a device or a pipe is written to.
    ///
    /// - Throws: ``RuntimeError`` with the reason of the system.
    public static func write(_ text: String, to path: String) throws {
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            let descriptor = open(path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw failure(path) }
            defer { close(descriptor) }
            return try write(text, to: descriptor, path)
        }
        let file = try PendingFile(for: path)
        try write(text, to: file.descriptor, path)
        try file.publish(as: path, replacing: true)
    }

    private static func write(_ text: String, to descriptor: Int32, _ path: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw failure(path) }
            rest = rest.dropFirst(written)
        }
    }

    private static func failure(_ path: String) -> RuntimeError {
        RuntimeError("\(path): cannot write: \(String(cString: strerror(errno)))")
    }

    private struct Identity: Equatable {
        var device: UInt
        var inode: UInt
    }

    private static func identity(_ path: String) -> Identity? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Identity(device: UInt(status.st_dev), inode: UInt(status.st_ino))
    }
}
