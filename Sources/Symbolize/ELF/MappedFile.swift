// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A regular file, mapped for reading as long as this object lives.
final class MappedFile: @unchecked Sendable {
    let path: String
    let bytes: Bytes
    private let device: dev_t
    private let inode: ino_t

    /// Opens and maps a regular file; an empty one has no bytes.
    init(path: String) throws(SymbolError) {
        func fail(_ kind: SymbolError.Kind) -> SymbolError { SymbolError(file: path, kind: kind) }

        // Non-blocking: a FIFO must not make us wait.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw fail(.cannotOpen(errno: errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw fail(.cannotOpen(errno: errno)) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw fail(.directory)
        default: throw fail(.notRegular)
        }
        self.path = path
        (device, inode) = (status.st_dev, status.st_ino)
        let size = Int(status.st_size)
        guard size > 0 else {
            bytes = .empty
            return
        }
        let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw fail(.cannotOpen(errno: errno)) }
        bytes = Bytes(start: UnsafeRawPointer(address), count: size)
    }

    deinit {
        if bytes.count > 0 { munmap(UnsafeMutableRawPointer(mutating: bytes.start), bytes.count) }
    }

    /// Whether both are the same file.
    func isSame(as other: MappedFile) -> Bool { device == other.device && inode == other.inode }

    /// Whether a regular file stands there.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}
