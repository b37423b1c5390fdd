// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// An entry that a stranger may put at the name of a file.
public enum OddFile: String, CaseIterable, Sendable {
    case link, danglingLink, fifo, directory, device, socket, huge, unreadable, hardLink

    /// Makes the entry, in place of an existing file.
    ///
    /// - Parameter target: a file outside that must stay unchanged.
    public func make(_ path: String, target: String) throws {
        unlink(path)
        let result: Int32 =
            switch self {
            case .link: symlink(target, path)
            case .danglingLink: symlink(target + ".missing", path)
            case .fifo: mkfifo(path, 0o600)
            case .directory: mkdir(path, 0o700)
            case .device: symlink("/dev/zero", path)
            case .socket: OddFile.makeSocket(path)
            case .huge: OddFile.makeFile(path, mode: 0o600, size: 1 << 40)
            case .unreadable: OddFile.makeFile(path, mode: 0, size: 0)
            case .hardLink: Glibc.link(target, path)
            }
        guard result == 0 else { throw TestFileError(path: path, errno: errno) }
    }

    private static func makeFile(_ path: String, mode: mode_t, size: Int) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode)
        defer { close(descriptor) }
        return ftruncate(descriptor, size)
    }

    private static func makeSocket(_ path: String) -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < 108 else { return -1 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
    }
}
