// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// An open regular file. FIFOs, devices, sockets and directories are refused before they are opened, since opening one
/// can block, or have an effect.
package struct PlainFile: ~Copyable {
    private let descriptor: Int32
    /// For messages.
    package let path: String
    /// Bytes, when the file was opened.
    package let size: UInt64

    /// Opens a file for reading.
    ///
    /// - Parameters:
    ///   - path: relative to `directory` if one is given.
    ///   - what: for errors: "kernel".
    ///   - directory: the open directory that must contain the file; no link is followed then.
    package init(_ path: String, what: String, in directory: OpenDirectory? = nil) throws(RunError) {
        let base = directory?.descriptor ?? AT_FDCWD
        let shown = directory.map { "\($0.path)/\(path)" } ?? path
        var information = stat()
        guard fstatat(base, path, &information, directory == nil ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else {
            throw .system(doing: "find \(what)", path: shown, code: errno)
        }
        try PlainFile.require(information, shown)
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (directory == nil ? 0 : O_NOFOLLOW)
        let descriptor = openat(base, path, flags)
        guard descriptor >= 0 else { throw .system(doing: "open \(what)", path: shown, code: errno) }
        guard fstat(descriptor, &information) == 0 else {
            let code = errno
            close(descriptor)
            throw .system(doing: "examine", path: shown, code: code)
        }
        do throws(RunError) {
            try PlainFile.require(information, shown)
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.path = shown
        size = UInt64(max(0, information.st_size))
    }

    deinit { close(descriptor) }

    private static func require(_ information: stat, _ path: String) throws(RunError) {
        let kind = FileKind(information)
        guard kind == .file else { throw .file(path: path, problem: "is \(kind.text), not a regular file") }
    }

    /// Reads the next bytes; 0 at the end of the file.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(RunError) -> Int {
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            if errno != EINTR { throw .system(doing: "read", path: path, code: errno) }
        }
    }

    /// The first bytes: `count`, or fewer where the file is shorter.
    package func head(_ count: Int) throws(RunError) -> [UInt8] {
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: count)
        while bytes.count < count {
            var failure: RunError?
            let got = block.withUnsafeMutableBytes { buffer -> Int in
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count - bytes.count)])
                do throws(RunError) { return try read(into: rest) } catch { failure = error }
                return 0
            }
            if let failure { throw failure }
            if got == 0 { break }
            bytes.append(contentsOf: block[..<got])
        }
        return bytes
    }

    /// SEEK_HOLE of lseek(2), a macro that Swift does not import.
    private static let seekHole: Int32 = 4

    /// Throws for a file with a hole: a program that writes a file from its beginning to its end leaves none, and
    /// reading a hole can take very long.
    package func requireNoHoles() throws(RunError) {
        let hole = lseek(descriptor, 0, PlainFile.seekHole)
        lseek(descriptor, 0, SEEK_SET)
        if hole >= 0, UInt64(hole) < size { throw .file(path: path, problem: "has a hole at offset \(hole)") }
    }

    /// Copies the file to a new file; blocks of zeros become holes. Whatever had the name is removed and not followed.
    package func copy(to name: String, in directory: OpenDirectory) throws(RunError) {
        let shown = "\(directory.path)/\(name)"
        try directory.createEmpty(name)
        let target = openat(directory.descriptor, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        guard target >= 0 else { throw .system(doing: "write", path: shown, code: errno) }
        defer { close(target) }
        guard lseek(descriptor, 0, SEEK_SET) == 0, ftruncate(target, off_t(size)) == 0 else {
            throw .system(doing: "write", path: shown, code: errno)
        }
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { block.deallocate() }
        var offset: off_t = 0
        while true {
            let count = try read(into: block)
            if count == 0 { return }
            let part = UnsafeRawBufferPointer(rebasing: block[..<count])
            var done = part.allSatisfy { $0 == 0 } ? count : 0
            while done < count {
                let written = pwrite(target, part.baseAddress! + done, count - done, offset + off_t(done))
                guard written > 0 else { throw .system(doing: "write", path: shown, code: errno) }
                done += written
            }
            offset += off_t(count)
        }
    }

    /// All bytes of the file.
    ///
    /// - Parameter limit: a file that is larger is refused.
    package func contents(limit: Int) throws(RunError) -> [UInt8] {
        guard size <= UInt64(limit) else {
            throw .file(path: path, problem: "is \(size) bytes long; at most \(limit) are read")
        }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            var failure: RunError?
            let count = block.withUnsafeMutableBytes { buffer -> Int in
                do throws(RunError) { return try read(into: buffer) } catch { failure = error }
                return 0
            }
            if let failure { throw failure }
            if count == 0 { return bytes }
            bytes.append(contentsOf: block[..<count])
            guard bytes.count <= limit else {
                throw .file(path: path, problem: "is longer than \(limit) bytes")
            }
        }
    }
}

/// The kind of an entry in a directory.
package enum FileKind: Sendable {
    case file, directory, link, fifo, socket, device, other

    package init(_ information: stat) {
        switch information.st_mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .directory
        case S_IFLNK: self = .link
        case S_IFIFO: self = .fifo
        case S_IFSOCK: self = .socket
        case S_IFCHR, S_IFBLK: self = .device
        default: self = .other
        }
    }

    /// With its article, for messages.
    package var text: String {
        switch self {
        case .file: "a regular file"
        case .directory: "a directory"
        case .link: "a symbolic link"
        case .fifo: "a FIFO"
        case .socket: "a socket"
        case .device: "a device"
        case .other: "a special file"
        }
    }
}
