// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import CFileGuard
import Glibc

/// A regular file, mapped for reading as long as this object lives.
///
/// A file that becomes shorter while it is mapped reads as zeros from its new end on; ``change`` reports it.
package final class MappedFile: @unchecked Sendable {
    /// The file, as it was given.
    package let path: String
    /// The file's content.
    package let bytes: Bytes
    /// Open as long as this object lives: libdw looks for split units beside the file that a descriptor belongs to.
    package let descriptor: Int32
    /// The file's state when it was opened.
    let identity: Identity
    private let guardNumber: Int32

    /// What tells a file and its content from others without reading it.
    struct Identity: Hashable, Sendable {
        var device: UInt64
        var inode: UInt64
        var size: UInt64
        /// Nanoseconds since 1970: of the last change of the content, of the last change of anything.
        var modified: UInt64
        var changed: UInt64

        init(_ status: stat) {
            func nanoseconds(_ time: timespec) -> UInt64 {
                UInt64(bitPattern: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
            }
            (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
            size = UInt64(max(status.st_size, 0))
            (modified, changed) = (nanoseconds(status.st_mtim), nanoseconds(status.st_ctim))
        }
    }

    /// Larger files are refused.
    static let sizeLimit = 64 << 30
    /// Files larger than this must have at least one sixteenth of their blocks: the rest of a sparse one is zeros.
    static let sparseLimit = 256 << 20

    /// Opens and maps a regular file; an empty one has no bytes.
    package init(path: String) throws(SymbolError) {
        func fail(_ kind: SymbolError.Kind) -> SymbolError { SymbolError(file: path, kind: kind) }

        // Non-blocking: opening a FIFO must not wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw fail(.cannotOpen(errno: errno)) }
        var isKept = false
        defer { if !isKept { close(descriptor) } }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw fail(.cannotOpen(errno: errno)) }
        if let problem = MappedFile.problem(status) { throw fail(problem) }
        bytes = try MappedFile.map(descriptor, size: Int(status.st_size), path)
        self.path = path
        self.descriptor = descriptor
        identity = Identity(status)
        guardNumber = ttd_guard_add(bytes.start, bytes.count)
        isKept = true
    }

    /// Takes over the descriptor of a copy in memory that was made of a file; ``identity`` is that of the file.
    private init(copy descriptor: Int32, size: Int, of original: MappedFile) throws(SymbolError) {
        bytes = try MappedFile.map(descriptor, size: size, original.path)
        path = original.path
        self.descriptor = descriptor
        identity = original.identity
        // Nobody else can make it shorter.
        guardNumber = -1
    }

    deinit {
        ttd_guard_remove(guardNumber)
        close(descriptor)
        if bytes.count > 0 { munmap(UnsafeMutableRawPointer(mutating: bytes.start), bytes.count) }
    }

    private static func map(_ descriptor: Int32, size: Int, _ path: String) throws(SymbolError) -> Bytes {
        guard size > 0 else { return .empty }
        let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw SymbolError(file: path, kind: .cannotOpen(errno: errno)) }
        return Bytes(start: UnsafeRawPointer(address), count: size)
    }

    /// Why a file cannot be mapped; `nil` if it can.
    private static func problem(_ status: stat) -> SymbolError.Kind? {
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: return .directory
        default: return .notRegular
        }
        let isSparse = status.st_size > off_t(sparseLimit) && Int(status.st_blocks) < Int(status.st_size) / 512 / 16
        return status.st_size > off_t(sizeLimit) || isSparse ? .tooLarge(bytes: UInt64(status.st_size)) : nil
    }

    /// Makes a file in memory in the place of this one.
    ///
    /// - Parameter fill: Writes its `size` bytes, which are zeros.
    func copy(size: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) throws(SymbolError) -> MappedFile {
        func fail() -> SymbolError { SymbolError(file: path, kind: .cannotOpen(errno: errno)) }
        let descriptor = ttd_memory_file()
        guard descriptor >= 0 else { throw fail() }
        var isKept = false
        defer { if !isKept { close(descriptor) } }
        guard ftruncate(descriptor, off_t(size)) == 0,
            let area = mmap(nil, max(size, 1), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), area != MAP_FAILED
        else { throw fail() }
        fill(UnsafeMutableRawBufferPointer(start: area, count: size))
        munmap(area, max(size, 1))
        let copy = try MappedFile(copy: descriptor, size: size, of: self)
        isKept = true
        return copy
    }

    /// Whether both are the same file.
    package func isSame(as other: MappedFile) -> Bool {
        identity.device == other.identity.device && identity.inode == other.identity.inode
    }

    /// What happened to the file since it was opened: it became shorter, or was written to; `nil` if nothing did.
    package var change: SymbolError? {
        var status = stat()
        let isCopy = guardNumber < 0 && bytes.count > 0
        let isSame =
            isCopy
            || fstat(descriptor, &status) == 0 && status.st_size == off_t(bytes.count)
                && Identity(status).modified == identity.modified
        return isSame && ttd_guard_is_broken(guardNumber) == 0 ? nil : SymbolError(file: path, kind: .changed)
    }

    /// The mapped bytes as libelf's `Elf *`, to be read only, which must not outlive this object; `nil` if they are no
    /// ELF file.
    package func openInMemory() -> OpaquePointer? {
        elf_memory(UnsafeMutablePointer(mutating: bytes.start.assumingMemoryBound(to: CChar.self)), bytes.count)
    }

    /// Whether a path is that of a regular file that can be mapped.
    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && problem(status) == nil
    }
}
