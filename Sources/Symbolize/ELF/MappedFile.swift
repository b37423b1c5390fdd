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
    package convenience init(path: String) throws(SymbolError) {
        // Non-blocking: opening a FIFO must not wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        try self.init(path: path, descriptor: descriptor) { descriptor throws(SymbolError) in
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw MappedFile.failure(path) }
            if let problem = MappedFile.problem(status) { throw SymbolError(file: path, kind: problem) }
            return (Int(status.st_size), Identity(status), isGuarded: true)
        }
    }

    /// Takes over a descriptor, which can be that of a call that failed, and maps its bytes.
    ///
    /// - Parameter prepare: Returns the size and the identity of the file, and whether others can make it shorter.
    private init(
        path: String, descriptor: Int32,
        _ prepare: (Int32) throws(SymbolError) -> (size: Int, identity: Identity, isGuarded: Bool)
    ) throws(SymbolError) {
        guard descriptor >= 0 else { throw MappedFile.failure(path) }
        do throws(SymbolError) {
            let (size, identity, isGuarded) = try prepare(descriptor)
            bytes = try MappedFile.map(descriptor, size: size, path)
            self.identity = identity
            guardNumber = isGuarded ? ttd_guard_add(bytes.start, bytes.count) : -1
        } catch {
            close(descriptor)
            throw error
        }
        self.path = path
        self.descriptor = descriptor
    }

    /// The error of the call that just failed.
    private static func failure(_ path: String) -> SymbolError {
        SymbolError(file: path, kind: .cannotOpen(errno: errno))
    }

    deinit {
        ttd_guard_remove(guardNumber)
        close(descriptor)
        if bytes.count > 0 { munmap(UnsafeMutableRawPointer(mutating: bytes.start), bytes.count) }
    }

    private static func map(_ descriptor: Int32, size: Int, _ path: String) throws(SymbolError) -> Bytes {
        guard size > 0 else { return .empty }
        let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw failure(path) }
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
        try MappedFile(path: path, descriptor: ttd_memory_file()) { descriptor throws(SymbolError) in
            guard ftruncate(descriptor, off_t(size)) == 0,
                let area = mmap(nil, max(size, 1), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
                area != MAP_FAILED
            else { throw MappedFile.failure(path) }
            fill(UnsafeMutableRawBufferPointer(start: area, count: size))
            munmap(area, max(size, 1))
            // Nobody else can make it shorter.
            return (size, identity, isGuarded: false)
        }
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

    /// libelf must be asked for its version first.
    private static let hasLibelf = elf_version(UInt32(EV_CURRENT)) != UInt32(EV_NONE)

    /// The mapped bytes as libelf's `Elf *`, to be read only, which must not outlive this object; `nil` if they are no
    /// ELF file.
    package func openInMemory() -> OpaquePointer? {
        guard MappedFile.hasLibelf else { return nil }
        return elf_memory(UnsafeMutablePointer(mutating: bytes.start.assumingMemoryBound(to: CChar.self)), bytes.count)
    }

    /// Whether a path is that of a regular file that can be mapped.
    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && problem(status) == nil
    }
}
