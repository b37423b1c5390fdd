// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc

/// The programs and shared libraries of a directory.
///
///     for file in try ProgramFiles(directory: "rootfs", machine: .x86_64).files { try symbolizer.add(file) }
public struct ProgramFiles: Sendable {
    /// The linked ELF files in and below the directory, by path.
    public let files: [SymbolFile]
    /// Whether there are more than the limit.
    public let isCut: Bool

    /// Files that are taken at most.
    public static let limit = 1 << 14

    /// Finds the files.
    ///
    /// - Parameter machine: The processor that they must be for; any if `nil`.
    public init(directory: String, machine: Machine?) throws(SymbolError) {
        var paths: [String] = []
        let isRead = DirectoryWalk.visit(directory) { _, path in
            guard ProgramFiles.isProgram(path, machine) else { return false }
            paths.append(path)
            return true
        }
        guard isRead else { throw SymbolError(file: directory, kind: .cannotOpen(errno: errno)) }
        files = paths.sorted().prefix(ProgramFiles.limit).map { SymbolFile(path: $0) }
        isCut = paths.count > ProgramFiles.limit
    }

    /// Whether a path names a directory.
    public static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether a regular file begins with the header of a program or library. Links are not followed: the file that a link
    /// names is there itself, or is not of this directory.
    private static func isProgram(_ path: String, _ machine: Machine?) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
        var head = [UInt8](repeating: 0, count: 20)
        guard read(descriptor, &head, head.count) == head.count, head.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else {
            return false
        }
        let type = UInt16(head[16]) | UInt16(head[17]) << 8
        let own = UInt16(head[18]) | UInt16(head[19]) << 8
        // ET_EXEC, ET_DYN.
        return (type == 2 || type == 3) && (machine.map { $0.rawValue == own } ?? true)
    }
}
