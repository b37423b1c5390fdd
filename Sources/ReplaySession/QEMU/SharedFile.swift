// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A file in memory that this process and a plugin of QEMU both write.
enum SharedFile {
    /// Makes the file anew, with all its blocks: a write to a hole on a full disk would kill the writer.
    ///
    /// - Returns: the mapping of its `bytes` bytes, all of them zero, which the caller unmaps.
    static func create(_ path: String, bytes: Int) throws(RunError) -> UnsafeMutableRawPointer {
        unlink(path)
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system(doing: "create", path: path, code: errno) }
        defer { close(file) }
        let code = posix_fallocate(file, 0, off_t(bytes))
        guard code == 0 else { throw .system(doing: "allocate", path: path, code: code) }
        guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), memory != MAP_FAILED
        else { throw .system(doing: "map", path: path, code: errno) }
        return memory
    }
}
