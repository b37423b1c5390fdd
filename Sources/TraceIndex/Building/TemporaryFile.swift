// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A file under a temporary name, in the directory of its later name. It gets that name when it is complete.
///
/// The process that makes it locks it. A temporary file without a lock is left from a killed process; the next process
/// that makes a file for the same name removes it.
final class TemporaryFile {
    let path: String
    private let name: String
    private var descriptor: Int32

    /// Throws errno's sentence where the directory cannot be written.
    init(for name: String) throws(IndexError) {
        self.name = name
        TemporaryFile.removeLeftovers(of: name)
        var made: (path: String, descriptor: Int32)?
        // Between making a file and locking it, another process may take it for a leftover.
        for _ in 0..<16 where made == nil {
            let path = "\(name).\(getpid()).\(UInt32.random(in: 0 ... .max)).part"
            let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
            guard descriptor >= 0 else { throw IndexError(file: path, kind: .cannotCreate(errno: errno)) }
            var status = stat()
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &status) == 0, status.st_nlink > 0 {
                made = (path, descriptor)
            } else {
                close(descriptor)
            }
        }
        guard let made else { throw IndexError(file: name, kind: .cannotCreate(errno: EBUSY)) }
        (path, descriptor) = made
        PendingFiles.shared.add(path)
    }

    deinit {
        guard descriptor >= 0 else { return }
        unlink(path)
        PendingFiles.shared.remove(path)
        close(descriptor)
    }

    /// Gives the file its name, and replaces a file with that name. Its content must be written: it is on the disk when
    /// this returns.
    func finish() throws(IndexError) {
        guard fdatasync(descriptor) == 0, rename(path, name) == 0 else {
            throw IndexError(file: name, kind: .cannotWrite(errno: errno))
        }
        PendingFiles.shared.remove(path)
        close(descriptor)
        descriptor = -1
    }

    /// Copies another file into this one, which is empty.
    func copy(of other: String) throws(IndexError) {
        let source = open(other, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard source >= 0 else { throw IndexError(file: other, kind: .cannotRead(errno: errno)) }
        defer { close(source) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset: off_t = 0
        while true {
            let count = pread(source, &buffer, buffer.count, offset)
            guard count >= 0 else { throw IndexError(file: other, kind: .cannotRead(errno: errno)) }
            if count == 0 { return }
            let error = buffer.withUnsafeBytes {
                TemporaryFile.write(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: descriptor, at: offset)
            }
            guard error == 0 else { throw IndexError(file: path, kind: .cannotWrite(errno: error)) }
            offset += off_t(count)
        }
    }

    /// Writes bytes at an offset.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(IndexError) {
        let error = TemporaryFile.write(bytes, to: descriptor, at: off_t(offset))
        guard error == 0 else { throw IndexError(file: path, kind: .cannotWrite(errno: error)) }
    }

    /// Fills a buffer with the bytes at an offset.
    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(IndexError) {
        var done = 0
        while done < bytes.count {
            let part = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
            let count = pread(descriptor, part.baseAddress, part.count, off_t(offset + done))
            guard count > 0 else { throw IndexError(file: path, kind: .cannotRead(errno: count == 0 ? EIO : errno)) }
            done += count
        }
    }

    /// Writes all bytes at an offset. Returns 0, or errno.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: off_t) -> Int32 {
        var written = 0
        while written < bytes.count {
            // A disk that becomes full takes a part, and then nothing.
            let more = pwrite(
                descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written, offset + off_t(written))
            guard more > 0 else { return errno }
            written += more
        }
        return 0
    }

    /// Removes files that killed processes left for a name.
    private static func removeLeftovers(of name: String) {
        let directory = IndexLocation.directory(name)
        let prefix = IndexLocation.name(name) + "."
        guard let entries = opendir(directory) else { return }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let found = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard found.hasPrefix(prefix), found.hasSuffix(".part") else { continue }
            let parts = found.dropFirst(prefix.count).split(separator: ".")
            guard parts.count == 3, Int32(parts[0]) != nil, UInt32(parts[1]) != nil else { continue }
            let path = "\(directory)/\(found)"
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            guard descriptor >= 0 else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(path) }
            close(descriptor)
        }
    }
}
