// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// Small file work that the session needs, without Foundation.
enum Files {
    /// The path with all links resolved; an error that names the file when it is not there.
    static func absolute(_ path: String, what: String) throws(SessionError) -> String {
        guard let resolved = realpath(path, nil) else {
            throw .system(doing: "find \(what)", path: path, code: errno)
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func isExecutable(_ path: String) -> Bool {
        var information = stat()
        return access(path, X_OK) == 0 && stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
    }

    /// Bytes; 0 when there is no such file.
    static func size(_ path: String) -> UInt64 {
        var information = stat()
        return stat(path, &information) == 0 ? UInt64(max(0, information.st_size)) : 0
    }

    /// The names in a directory, sorted, without `.` and `..`.
    static func list(_ path: String) throws(SessionError) -> [String] {
        guard let directory = opendir(path) else { throw .system(doing: "list", path: path, code: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The directory and those above it, where they are missing.
    static func makeDirectory(_ path: String) throws(SessionError) {
        if mkdir(path, 0o777) == 0 { return }
        let code = errno
        var information = stat()
        if code == EEXIST, stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFDIR { return }
        if code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectory(String(path[..<slash]))
            if mkdir(path, 0o777) == 0 { return }
        }
        throw .system(doing: "create directory", path: path, code: code == ENOENT ? errno : code)
    }

    /// At most `limit` bytes from the end of a file, from the first whole line on.
    static func tail(_ path: String, limit: Int = 4096) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        let size = Int(size(path))
        let start = max(0, size - limit)
        var bytes = [UInt8](repeating: 0, count: min(size, limit))
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(start)) }
        guard count > 0 else { return "" }
        var text = Substring(String(decoding: bytes.prefix(count), as: UTF8.self))
        if start > 0, let newline = text.firstIndex(of: "\n") { text = text[text.index(after: newline)...] }
        return String(text)
    }

    static func contents(_ path: String) throws(SessionError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(doing: "open", path: path, code: errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = block.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw .system(doing: "read", path: path, code: errno)
            }
            bytes.append(contentsOf: block[..<count])
        }
    }

    /// Replaces the file as one step: a reader sees the old contents or the new ones.
    static func replace(_ path: String, with bytes: [UInt8]) throws(SessionError) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .system(doing: "create", path: temporary, code: errno) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let code = errno
                close(descriptor)
                unlink(temporary)
                throw .system(doing: "write", path: temporary, code: code)
            }
            done += count
        }
        close(descriptor)
        guard rename(temporary, path) == 0 else { throw .system(doing: "replace", path: path, code: errno) }
    }

    static func remove(_ path: String) throws(SessionError) {
        guard unlink(path) == 0 || errno == ENOENT else {
            throw .system(doing: "remove", path: path, code: errno)
        }
    }
}
