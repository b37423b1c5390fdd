// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc

/// A regular file, mapped for reading as long as this object lives.
package final class MappedFile: @unchecked Sendable {
    package let path: String
    package let bytes: Bytes
    /// Stays open: libdw finds split units beside the file that stands behind it.
    package let descriptor: Int32
    private let device: dev_t
    private let inode: ino_t

    /// Opens and maps a regular file; an empty one has no bytes.
    package init(path: String) throws(SymbolError) {
        func fail(_ kind: SymbolError.Kind) -> SymbolError { SymbolError(file: path, kind: kind) }

        // Non-blocking: a FIFO must not make us wait.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw fail(.cannotOpen(errno: errno)) }
        var isKept = false
        defer { if !isKept { close(descriptor) } }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw fail(.cannotOpen(errno: errno)) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw fail(.directory)
        default: throw fail(.notRegular)
        }
        let size = Int(status.st_size)
        var content = Bytes.empty
        if size > 0 {
            let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
            guard let address, address != MAP_FAILED else { throw fail(.cannotOpen(errno: errno)) }
            content = Bytes(start: UnsafeRawPointer(address), count: size)
        }
        self.path = path
        self.descriptor = descriptor
        bytes = content
        (device, inode) = (status.st_dev, status.st_ino)
        isKept = true
    }

    /// A copy in memory that was made of a file; `isSame` goes by the file. Takes the descriptor over.
    package init(linked descriptor: Int32, original: MappedFile) throws(SymbolError) {
        let size = original.bytes.count
        let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else {
            throw SymbolError(file: original.path, kind: .cannotOpen(errno: errno))
        }
        path = original.path
        self.descriptor = descriptor
        bytes = Bytes(start: UnsafeRawPointer(address), count: size)
        (device, inode) = (original.device, original.inode)
    }

    deinit {
        close(descriptor)
        if bytes.count > 0 { munmap(UnsafeMutableRawPointer(mutating: bytes.start), bytes.count) }
    }

    /// Whether both are the same file.
    package func isSame(as other: MappedFile) -> Bool { device == other.device && inode == other.inode }

    /// The mapped bytes as libelf's `Elf *`, to be read only, which must not outlive this object; `nil` when they are no
    /// ELF file.
    package func openInMemory() -> OpaquePointer? {
        elf_memory(UnsafeMutablePointer(mutating: bytes.start.assumingMemoryBound(to: CChar.self)), bytes.count)
    }

    /// Whether a regular file stands there.
    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}
