// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// A new directory that only this user can enter. It and all in it are removed with its owner.
package final class PrivateDirectory {
    /// Its path.
    package let path: String

    /// Creates a directory in TMPDIR, or in `/tmp`.
    package convenience init(named name: String) throws(RunError) {
        try self.init(named: name, parents: [PrivateDirectory.temporary], bytes: 0)
    }

    /// Creates a directory in memory (`/dev/shm`) if it has room for so many bytes, otherwise in TMPDIR or `/tmp`.
    package convenience init(named name: String, inMemory bytes: UInt64) throws(RunError) {
        try self.init(named: name, parents: ["/dev/shm", PrivateDirectory.temporary], bytes: bytes)
    }

    private init(named name: String, parents: [String], bytes: UInt64) throws(RunError) {
        var reason: Int32 = ENOSPC
        for parent in parents {
            guard bytes == 0 || PrivateDirectory.room(in: parent) > bytes else { continue }
            var template = Array("\(parent)/\(name)-XXXXXX".utf8CString)
            if mkdtemp(&template) != nil {
                path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
                return
            }
            reason = errno
        }
        let what = bytes == 0 ? "create a directory in" : "create a directory for \(bytes >> 20) MiB in"
        throw .system(doing: what, path: PrivateDirectory.temporary, code: reason)
    }

    /// Removes directories of this user that a killed process left: those of this name whose lock nobody holds.
    package static func removeAbandoned(named name: String) {
        for parent in ["/dev/shm", temporary] {
            for entry in (try? Files.list(parent)) ?? [] where entry.hasPrefix("\(name)-") {
                let path = "\(parent)/\(entry)"
                var information = stat()
                guard lstat(path, &information) == 0, FileKind(information) == .directory,
                    information.st_uid == geteuid(), time(nil) - information.st_mtim.tv_sec > abandonedAge
                else { continue }
                let lock = open("\(path)/\(RunFiles.lockName)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
                if lock >= 0 {
                    defer { close(lock) }
                    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { continue }
                    FileTree.remove(path)
                } else if errno == ENOENT {
                    FileTree.remove(path)
                }
            }
        }
    }

    /// Seconds after which a directory without a held lock is no new one whose lock is about to be taken.
    private static let abandonedAge = 60

    /// Bytes that this user can write.
    private static func room(in directory: String) -> UInt64 {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else { return 0 }
        return UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue
    }

    private static var temporary: String {
        getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    }

    deinit { FileTree.remove(path) }
}
