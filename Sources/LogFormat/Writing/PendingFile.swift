// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A file that has no name until it is complete.
///
/// The file is made with `O_TMPFILE`: if the process ends or is killed before ``publish(as:replacing:)``, the kernel
/// frees it and nothing is left. On a file system without such files it gets a temporary name, which is removed if the
/// file is not published.
package final class PendingFile {
    /// `O_TMPFILE`, which Swift does not import (asm-generic/fcntl.h; the same on x86-64 and AArch64).
    private static let temporaryFlag = 0o20000000 | O_DIRECTORY

    /// The open file, for reading and writing.
    package let descriptor: Int32
    /// The temporary name, where the file system needs one.
    private var temporaryName: String?

    /// Makes a file in a directory.
    ///
    /// - Parameter keepsName: whether the file will be published; otherwise a temporary name is removed at once.
    package init(in directory: String, keepsName: Bool) throws(LogError) {
        var descriptor = open(directory, PendingFile.temporaryFlag | O_RDWR | O_CLOEXEC, 0o666)
        if descriptor < 0, [EOPNOTSUPP, EISDIR, ENOENT, EINVAL].contains(errno) {
            let name = "\(directory)/.ttlog-\(getpid())-\(UInt64.random(in: 0 ... .max))"
            descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            if descriptor >= 0 { temporaryName = name }
        }
        guard descriptor >= 0 else { throw LogError(file: directory, kind: .cannotCreate(errno: errno)) }
        self.descriptor = descriptor
        if !keepsName { removeTemporaryName() }
    }

    /// Makes a file that will be published under a path, in the path's directory.
    package convenience init(for path: String) throws(LogError) {
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        try self.init(in: directory, keepsName: true)
    }

    deinit {
        removeTemporaryName()
        close(descriptor)
    }

    /// Makes a file for data that only this process reads, in `TMPDIR` or `/tmp`.
    package static func temporary() throws(LogError) -> PendingFile {
        let directory = getenv("TMPDIR").map { String(cString: $0) } ?? ""
        return try PendingFile(in: directory.isEmpty ? "/tmp" : directory, keepsName: false)
    }

    /// Gives the file its name. An existing file of that name stays as it is until this succeeds.
    ///
    /// Throws, and leaves that file alone, where one exists and may not be replaced.
    package func publish(as path: String, replacing: Bool) throws(LogError) {
        if link(to: path) { return removeTemporaryName() }
        guard errno == EEXIST, replacing else { throw LogError(file: path, kind: .cannotCreate(errno: errno)) }
        let name = "\(path).new-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        guard link(to: name) else { throw LogError(file: name, kind: .cannotCreate(errno: errno)) }
        guard rename(name, path) == 0 else {
            let code = errno
            unlink(name)
            throw LogError(file: path, kind: .cannotCreate(errno: code))
        }
        removeTemporaryName()
    }

    private func link(to path: String) -> Bool {
        if let temporaryName { return Glibc.link(temporaryName, path) == 0 }
        return linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0
    }

    private func removeTemporaryName() {
        if let temporaryName { unlink(temporaryName) }
        temporaryName = nil
    }
}
