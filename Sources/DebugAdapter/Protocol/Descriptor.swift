// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// Pipes, and reading from descriptors.
public enum Descriptor {
    /// A pipe that no program inherits; nil if the process has too many descriptors.
    public static func pipe() -> (reader: Int32, writer: Int32)? {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// What has come; empty at the end of the stream.
    static func read(_ descriptor: Int32) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = block.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            return Array(block.prefix(max(0, count)))
        }
    }
}
