// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Writes a file of raw branch records (``RawBTSFile``).
///
/// The file gets its name in ``close()``, so that an error or a killed process leaves no incomplete file. Until then it
/// has no name or, on a file system without nameless files (`O_TMPFILE`), the name `NAME.PID.part`.
///
///     let writer = try RawBTSWriter(path: "part.bts", form: .extended)
///     try writer.append(batch, range)
///     try writer.close()
public final class RawBTSWriter {
    /// The file's path.
    public let path: String
    /// The records' form.
    public let form: RawBTSFile.Form
    /// Branches written so far.
    public private(set) var count: UInt64 = 0

    private let temporary: String
    /// Whether the file has the temporary name.
    private var isNamed: Bool
    private let replaces: Bool
    private var descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var used = 0

    /// Records in the buffer.
    private static let bufferCount = 1 << 15
    /// O_TMPFILE, a macro that Swift cannot import.
    private static let withoutName = 0o20_000_000 | O_DIRECTORY

    /// Makes the file.
    ///
    /// - Throws: ``LogError/Kind/exists`` if the file exists and `replaces` is false; ``LogError/Kind/writer(errno:message:)``
    ///   if it cannot be made.
    public init(path: String, form: RawBTSFile.Form, replaces: Bool = false) throws(LogError) {
        var status = stat()
        let isThere = lstat(path, &status) == 0
        if isThere, stat(path, &status) != 0 || status.st_mode & S_IFMT != S_IFREG {
            throw LogError(file: path, kind: .foreign("is not a regular file; name a new file"))
        }
        if isThere, !replaces { throw LogError(file: path, kind: .exists) }
        temporary = "\(path).\(getpid()).part"
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        // A nameless file gets its name through /proc.
        let hasProc = access("/proc/self/fd", X_OK) == 0
        descriptor = hasProc ? open(directory, O_WRONLY | O_CLOEXEC | RawBTSWriter.withoutName, 0o666) : -1
        isNamed = descriptor < 0
        if isNamed {
            descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
        }
        guard descriptor >= 0 else { throw RawBTSWriter.failure("cannot make", path, errno) }
        self.path = path
        self.form = form
        self.replaces = replaces
        buffer = .allocate(byteCount: RawBTSWriter.bufferCount * RawBTSFile.recordSize, alignment: 8)
        if form == .extended {
            buffer[..<RawBTSFile.recordSize].initializeMemory(as: UInt8.self, repeating: 0xff)
            used = RawBTSFile.recordSize
        }
    }

    deinit {
        buffer.deallocate()
        if descriptor >= 0 {
            Glibc.close(descriptor)
            if isNamed { unlink(temporary) }
        }
    }

    /// Writes some branches of a batch. In the plain form the flags are 0.
    public func append(_ batch: borrowing BranchBatch, _ range: Range<Int>) throws(LogError) {
        guard range.lowerBound >= 0, range.upperBound <= batch.count else { return }
        let (from, to, first) = (batch.from, batch.to, batch.clockFirst)
        var index = range.lowerBound
        while index < range.upperBound {
            if used == buffer.count { try flush() }
            let count = min(range.upperBound - index, (buffer.count - used) / RawBTSFile.recordSize)
            let mask: UInt64 = form == .extended ? .max : 0
            for place in 0..<count {
                let record = used &+ place &* RawBTSFile.recordSize
                let clock = (first &+ UInt64(index &+ place)) & mask
                buffer.storeBytes(of: from[index &+ place], toByteOffset: record, as: UInt64.self)
                buffer.storeBytes(of: to[index &+ place], toByteOffset: record &+ 8, as: UInt64.self)
                buffer.storeBytes(of: clock, toByteOffset: record &+ 16, as: UInt64.self)
            }
            used += count * RawBTSFile.recordSize
            index += count
        }
        self.count &+= UInt64(range.count)
    }

    /// Writes the rest of the buffer and gives the file its name. No ``append(_:_:)`` may follow.
    public func close() throws(LogError) {
        try flush()
        guard Glibc.fsync(descriptor) == 0 || errno == EINVAL else {
            throw RawBTSWriter.failure("cannot write", path, errno)
        }
        try name()
        Glibc.close(descriptor)
        descriptor = -1
    }

    private func name() throws(LogError) {
        // A link does not replace a file that was made since. Not every file system has links.
        if !replaces {
            if link(to: path) { return }
            if errno == EEXIST { throw LogError(file: path, kind: .exists) }
        }
        if !isNamed {
            guard link(to: temporary) else { throw RawBTSWriter.failure("cannot make", path, errno) }
            isNamed = true
        }
        guard rename(temporary, path) == 0 else { throw RawBTSWriter.failure("cannot make", path, errno) }
        isNamed = false
    }

    /// Gives the file a name, and removes the temporary one.
    private func link(to name: String) -> Bool {
        guard isNamed else {
            return linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0
        }
        guard Glibc.link(temporary, name) == 0 else { return false }
        unlink(temporary)
        isNamed = false
        return true
    }

    private func flush() throws(LogError) {
        var done = 0
        while done < used, let base = buffer.baseAddress {
            let written = Glibc.write(descriptor, base + done, used - done)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw RawBTSWriter.failure("cannot write", path, written < 0 ? errno : EIO) }
            done += written
        }
        used = 0
    }

    private static func failure(_ what: String, _ path: String, _ code: Int32) -> LogError {
        LogError(file: path, kind: .writer(errno: code, message: "\(path): \(what) it: \(errorText(code))"))
    }
}
