// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc

/// A regular file, read by `pread` into memory of our own.
///
/// It is not mapped. If a mapped file were cut short while it is read (a recorder that restarts, a full disk), SIGBUS
/// would kill the process. Reading costs one copy of the stored bytes, which are compressed. It also leaves slack after
/// the bytes, which the decoder needs, allows to count the bytes read, and bounds memory on any file.
final class InputFile: Sendable {
    let path: String
    let descriptor: Int32

    /// Opens for reading; anything but a regular file is refused.
    init(path: String) throws(LogError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw LogError(file: path, kind: .cannotOpen(errno: errno)) }
        var status = stat()
        let isRegular = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        guard isRegular else {
            close(descriptor)
            throw LogError(file: path, kind: .notARegularFile)
        }
        self.path = path
        self.descriptor = descriptor
    }

    /// Reads a file that is open already, through a descriptor of its own; `path` is for messages.
    init(duplicating other: Int32, path: String) throws(LogError) {
        descriptor = fcntl(other, F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else { throw LogError(file: path, kind: .cannotOpen(errno: errno)) }
        self.path = path
    }

    deinit {
        close(descriptor)
    }

    /// The file's size now.
    var size: UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(max(0, status.st_size)) : 0
    }

    /// Whether a writer holds its lock on this file.
    var isLocked: Bool { ttlog_is_locked(descriptor) != 0 }

    /// Whether a path leads to this very file.
    func isSame(as path: String) -> Bool {
        var mine = stat()
        var other = stat()
        return fstat(descriptor, &mine) == 0 && stat(path, &other) == 0 && mine.st_ino == other.st_ino
            && mine.st_dev == other.st_dev
    }

    /// The first offset at or after `offset` that is not in a hole of the file; the file's size if there is none.
    ///
    /// A hole reads as zeros and takes no disk space, so that a small file can seem to hold terabytes. On a file system
    /// that does not report holes the result is `offset`.
    func nextData(from offset: UInt64) -> UInt64 {
        guard let place = off_t(exactly: offset) else { return offset }
        let found = lseek(descriptor, place, InputFile.seekData)
        if found >= 0 { return max(offset, UInt64(found)) }
        return errno == ENXIO ? max(offset, size) : offset
    }

    /// `SEEK_DATA`, which Swift does not import (unistd.h).
    private static let seekData: Int32 = 3

    /// Reads up to `buffer.count` bytes; fewer are returned only at the end of the file.
    func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(LogError) -> Int {
        var done = 0
        while done < buffer.count {
            let (place, overflow) = offset.addingReportingOverflow(UInt64(done))
            guard !overflow, place <= UInt64(Int64.max), let base = buffer.baseAddress else { break }
            let count = pread(descriptor, base + done, buffer.count - done, off_t(place))
            if count > 0 {
                done += count
            } else if count == 0 {
                break
            } else if errno != EINTR {
                throw LogError(file: path, offset: place, kind: .cannotRead(errno: errno))
            }
        }
        return done
    }
}

/// A growing memory area that is reused, with slack after the requested bytes, so that a decoder may load whole words
/// near the end.
struct ReusedBuffer: ~Copyable {
    static let slack = 64
    private(set) var base: UnsafeMutableRawPointer?
    private var capacity = 0

    init() {}

    deinit {
        base?.deallocate()
    }

    /// Room for `count` bytes and the slack. The contents are undefined; the slack is zero.
    mutating func room(for count: Int) -> UnsafeMutableRawBufferPointer {
        if base == nil || capacity < count {
            base?.deallocate()
            let wanted = (count &+ 0xfff) & ~0xfff
            base = UnsafeMutableRawPointer.allocate(byteCount: wanted &+ ReusedBuffer.slack, alignment: 64)
            capacity = wanted
        }
        if let base { memset(base + count, 0, ReusedBuffer.slack) }
        return UnsafeMutableRawBufferPointer(start: base, count: count)
    }
}

/// Whether a path leads to a directory.
func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// Whether a path leads to a regular file.
func isRegularFile(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
}
