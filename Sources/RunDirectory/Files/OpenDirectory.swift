// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// An open directory through which its entries are reached by name.
///
/// A run directory may come from a stranger. So no symbolic link in it is followed, only regular files are read, and a
/// file is written only where a new one was created.
package final class OpenDirectory: @unchecked Sendable {
    /// Absolute, for messages and for programs that take paths.
    package let path: String
    package let descriptor: Int32

    /// Opens a directory that the user named. Links in this path are the user's own and are followed.
    package init(_ path: String, what: String = "directory") throws(RunError) {
        let absolute = try Files.absolute(path, what: what)
        descriptor = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(doing: "open \(what)", path: path, code: errno) }
        self.path = absolute
    }

    private init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Opens a directory in this one.
    package func directory(_ name: String) throws(RunError) -> OpenDirectory {
        let child = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if child < 0 {
            let code = errno
            if let kind = kind(of: name), kind != .directory {
                throw .file(path: "\(path)/\(name)", problem: "is \(kind.text), not a directory")
            }
            throw .system(doing: "open directory", path: "\(path)/\(name)", code: code)
        }
        return OpenDirectory(path: "\(path)/\(name)", descriptor: child)
    }

    /// Opens a directory in this one and creates it where it is missing.
    package func makeDirectory(_ name: String) throws(RunError) -> OpenDirectory {
        if mkdirat(descriptor, name, 0o777) != 0, errno != EEXIST {
            throw .system(doing: "create directory", path: "\(path)/\(name)", code: errno)
        }
        return try directory(name)
    }

    /// The kind of an entry; nil if there is none.
    package func kind(of name: String) -> FileKind? {
        var information = stat()
        return fstatat(descriptor, name, &information, AT_SYMLINK_NOFOLLOW) == 0 ? FileKind(information) : nil
    }

    /// Whether there is an entry of this name.
    package func has(_ name: String) -> Bool { kind(of: name) != nil }

    /// Bytes of a regular file; 0 for anything else.
    package func size(of name: String) -> UInt64 {
        var information = stat()
        guard fstatat(descriptor, name, &information, AT_SYMLINK_NOFOLLOW) == 0, FileKind(information) == .file
        else { return 0 }
        return UInt64(max(0, information.st_size))
    }

    /// The names of the entries, sorted, without `.` and `..`.
    package func names() throws(RunError) -> [String] {
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else { throw .system(doing: "list", path: path, code: errno) }
        defer { closedir(stream) }
        return Files.names(in: stream)
    }

    /// The contents of a regular file of at most `limit` bytes.
    package func contents(of name: String, what: String, limit: Int) throws(RunError) -> [UInt8] {
        try PlainFile(name, what: what, in: self).contents(limit: limit)
    }

    /// Throws unless the entry is missing, or a regular file with no other name that can be written to.
    package func requireOwn(_ name: String) throws(RunError) {
        var information = stat()
        guard fstatat(descriptor, name, &information, AT_SYMLINK_NOFOLLOW) == 0 else { return }
        let kind = FileKind(information)
        guard kind == .file else {
            throw .file(path: "\(path)/\(name)", problem: "is \(kind.text), not a regular file")
        }
        guard information.st_nlink == 1 else {
            throw .file(path: "\(path)/\(name)", problem: "has \(information.st_nlink) names (hard links)")
        }
    }

    /// Replaces a file in one step: a reader sees the old contents or the new ones.
    package func replace(_ name: String, with bytes: [UInt8]) throws(RunError) {
        let temporary = name + ".new"
        try remove(temporary)
        let file = openat(descriptor, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw .system(doing: "create", path: "\(path)/\(temporary)", code: errno) }
        let code = Files.write(bytes, to: file)
        close(file)
        guard code == 0 else {
            unlinkat(descriptor, temporary, 0)
            throw .system(doing: "write", path: "\(path)/\(temporary)", code: code)
        }
        guard renameat(descriptor, temporary, descriptor, name) == 0 else {
            throw .system(doing: "replace", path: "\(path)/\(name)", code: errno)
        }
    }

    /// Creates an empty file; whatever had its name is removed and not followed.
    package func createEmpty(_ name: String) throws(RunError) {
        try remove(name)
        let file = openat(descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw .system(doing: "create", path: "\(path)/\(name)", code: errno) }
        close(file)
    }

    /// Removes an entry that is no directory. A link is removed, not what it points to.
    package func remove(_ name: String) throws(RunError) {
        guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT else {
            throw .system(doing: "remove", path: "\(path)/\(name)", code: errno)
        }
    }

    /// Removes a directory where it is empty.
    package func removeDirectory(_ name: String) { unlinkat(descriptor, name, AT_REMOVEDIR) }
}
