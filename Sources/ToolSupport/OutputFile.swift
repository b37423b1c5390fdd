// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// Checks on a file that a command writes.
public enum OutputFile {
    /// Refuses to write over a file that the same command reads.
    ///
    /// - Parameters:
    ///   - path: The file to write; it need not exist.
    ///   - inputs: The files that the command reads.
    /// - Throws: ``RuntimeError`` if one of the inputs is the same file, also under another name.
    public static func refuse(_ path: String, overInputs inputs: [String]) throws {
        guard let output = identity(path) else { return }
        for input in inputs where identity(input) == output {
            throw RuntimeError("\(path): is the input \(input); name another file")
        }
    }

    private struct Identity: Equatable {
        var device: UInt
        var inode: UInt
    }

    private static func identity(_ path: String) -> Identity? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Identity(device: UInt(status.st_dev), inode: UInt(status.st_ino))
    }
}
