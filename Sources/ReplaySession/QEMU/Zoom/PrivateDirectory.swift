// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A new directory that only this user can enter. It and the files in it are removed at the end.
final class PrivateDirectory {
    let path: String

    /// Creates a directory in memory (`/dev/shm`) if it has room for so many bytes, otherwise in TMPDIR or `/tmp`.
    init(bytes: UInt64) throws(RunError) {
        let temporary = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        var reason: Int32 = ENOSPC
        for parent in ["/dev/shm", temporary] {
            var status = statvfs()
            guard statvfs(parent, &status) == 0,
                UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue > bytes
            else { continue }
            var template = Array("\(parent)/tt-zoom-XXXXXX".utf8CString)
            if mkdtemp(&template) != nil {
                path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
                return
            }
            reason = errno
        }
        throw .system(doing: "create a directory for \(bytes >> 20) MiB in", path: temporary, code: reason)
    }

    deinit {
        for name in (try? Files.list(path)) ?? [] { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}
