// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import RunDirectory

// The size of the cache. Its directories are named by the SHA-256 of a bundle; the time of a directory is that at which it
// was opened last.
extension BundleCache {
    /// What the names of directories begin with while a bundle is unpacked, and while one is removed.
    static let temporaryPrefix = ".new-"
    /// Seconds after which such a directory is what a killed process left.
    private static let abandonedAfter = 3600

    private struct Kept {
        var name: String
        var size: UInt64
        var used: timespec
    }

    /// Removes unpacked bundles until the rest fits, those that were opened longest ago first, and what killed processes
    /// left. Those in use stay.
    func makeRoom(keeping newest: String) {
        guard let names = try? Files.list(directory) else { return }
        let now = time(nil)
        var kept: [Kept] = []
        for name in names {
            var status = stat()
            guard lstat("\(directory)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { continue }
            if name.hasPrefix(BundleCache.temporaryPrefix) {
                if now - status.st_mtim.tv_sec > BundleCache.abandonedAfter { FileTree.remove("\(directory)/\(name)") }
            } else if BundleCache.isDigest(name) {
                kept.append(Kept(name: name, size: FileTree.size("\(directory)/\(name)"), used: status.st_mtim))
            }
        }
        var total = kept.reduce(0) { $0 &+ $1.size }
        kept.sort { ($0.used.tv_sec, $0.used.tv_nsec, $0.name) < ($1.used.tv_sec, $1.used.tv_nsec, $1.name) }
        for bundle in kept where total > sizeLimit && bundle.name != newest {
            if remove(bundle.name) { total &-= bundle.size }
        }
    }

    /// Removes a directory that nobody uses.
    private func remove(_ name: String) -> Bool {
        guard let hold = DirectoryHold("\(directory)/\(name)", isExclusive: true) else { return false }
        // Nobody who looks for the name finds half of it.
        let temporary = "\(directory)/\(BundleCache.temporaryPrefix)\(getpid())-\(name)"
        guard rename("\(directory)/\(name)", temporary) == 0 else { return false }
        withExtendedLifetime(hold) { FileTree.remove(temporary) }
        return true
    }

    private static func isDigest(_ name: String) -> Bool {
        name.utf8.count == 64 && name.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}

/// A lock on a directory of the cache. It ends with this object, and with the process.
final class DirectoryHold: Sendable {
    private let descriptor: Int32

    /// Takes the lock, and makes the directory the one that was used last; nil if there is no directory, or another
    /// process removes it or, for an exclusive lock, uses it.
    init?(_ path: String, isExclusive: Bool = false) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        guard flock(descriptor, (isExclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 else { return nil }
        if !isExclusive { futimens(descriptor, nil) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Keeps the lock when another program takes the place of this one.
    func staysInNextProgram() { _ = fcntl(descriptor, F_SETFD, 0) }
}

extension FileTree {
    /// Bytes that a directory and all in it take on the disk. Links are not followed.
    fileprivate static func size(_ path: String, depth: Int = 0) -> UInt64 {
        guard depth < 16, let names = try? Files.list(path) else { return 0 }
        return names.reduce(0) { total, name in
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0 else { return total }
            let isDirectory = status.st_mode & S_IFMT == S_IFDIR
            let inside = isDirectory ? size("\(path)/\(name)", depth: depth + 1) : 0
            return total &+ UInt64(max(0, status.st_blocks)) &* 512 &+ inside
        }
    }
}
