// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// Work with paths that the user or the system named, without Foundation.
package enum Files {
    /// The path with all links resolved; throws an error that names the file where it is missing.
    package static func absolute(_ path: String, what: String) throws(RunError) -> String {
        guard let resolved = realpath(path, nil) else {
            throw .system(doing: "find \(what)", path: path, code: errno)
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Whether the path leads to anything.
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether the path leads to a regular file that may be executed.
    package static func isExecutable(_ path: String) -> Bool {
        var information = stat()
        return access(path, X_OK) == 0 && stat(path, &information) == 0 && FileKind(information) == .file
    }

    /// Whether the path leads to a regular file.
    package static func isRegular(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && FileKind(information) == .file
    }

    /// The size in bytes; 0 if there is no such file.
    package static func size(_ path: String) -> UInt64 {
        var information = stat()
        return stat(path, &information) == 0 ? UInt64(max(0, information.st_size)) : 0
    }

    /// The names in a directory, sorted, without `.` and `..`.
    package static func list(_ path: String) throws(RunError) -> [String] {
        guard let directory = opendir(path) else { throw .system(doing: "list", path: path, code: errno) }
        defer { closedir(directory) }
        return names(in: directory)
    }

    static func names(in directory: OpaquePointer) -> [String] {
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Creates the directory, and those above it that are missing.
    package static func makeDirectory(_ path: String) throws(RunError) {
        if mkdir(path, 0o777) == 0 { return }
        let code = errno
        var information = stat()
        if code == EEXIST, stat(path, &information) == 0, FileKind(information) == .directory { return }
        if code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectory(String(path[..<slash]))
            if mkdir(path, 0o777) == 0 { return }
        }
        throw .system(doing: "create directory", path: path, code: code == ENOENT ? errno : code)
    }

    /// At most `limit` bytes from the end of a regular file, from the first complete line on; empty if there is no
    /// file.
    package static func tail(_ path: String, limit: Int = 4096) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0, FileKind(information) == .file else { return "" }
        let size = Int(max(0, information.st_size))
        let start = max(0, size - limit)
        var bytes = [UInt8](repeating: 0, count: min(size, limit))
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(start)) }
        guard count > 0 else { return "" }
        var text = Substring(String(decoding: bytes.prefix(count), as: UTF8.self))
        if start > 0, let newline = text.firstIndex(of: "\n") { text = text[text.index(after: newline)...] }
        return String(text)
    }

    /// The contents of a regular file, of at most 1 GiB.
    package static func contents(_ path: String) throws(RunError) -> [UInt8] {
        try PlainFile(path, what: "file").contents(limit: 1 << 30)
    }

    /// Replaces the file in one step: a reader sees the old contents or the new ones.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(RunError) {
        let (directory, name) = split(path)
        try OpenDirectory(directory).replace(name, with: bytes)
    }

    /// The directory of a path, and the name in it.
    package static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    /// Writes all bytes. Returns 0, or the errno of the failure.
    package static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? EIO : errno }
            rest = rest.dropFirst(count)
        }
        return 0
    }

    /// Writes all bytes. Returns 0, or the errno of the failure.
    package static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        bytes.withUnsafeBytes { write($0, to: descriptor) }
    }
}
