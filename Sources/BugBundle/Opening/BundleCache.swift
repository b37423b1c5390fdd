// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import RunDirectory

/// Where bundles are unpacked: each in a directory that is named after the SHA-256 of its file.
///
///     let bundle = try BundleCache.standard.open("bug.ttbug")
///     let log = try LogFile(path: bundle.path(.original))
///
/// A bundle is unpacked into a new private directory, which gets its name when all members are complete and checked.
/// Nothing outside of it is written. When it is opened again its members are checked again, if they are not too large.
/// When the directories take more than `sizeLimit` bytes, those that were opened longest ago are removed, except those
/// in use.
public struct BundleCache: Hashable, Sendable {
    /// The directory that holds the unpacked bundles.
    public var directory: String
    /// What a bundle may have.
    public var limits = BundleLimits()
    /// Bytes on the disk that all unpacked bundles may take. The one that is opened stays, whatever its size.
    public var sizeLimit: UInt64 = 4 << 30

    /// Members of more bytes in all are not checked when a bundle is opened again.
    private static let checkLimit: UInt64 = 1 << 28

    /// Makes a cache.
    public init(directory: String) { self.directory = directory }

    /// The user's cache directory, by the XDG Base Directory Specification; in `/tmp` if there is none.
    public static var standard: BundleCache {
        BundleCache(directory: UserCache.directory("bundles") ?? "/tmp/\(geteuid())/tt-analyze/bundles")
    }

    /// Unpacks a bundle, unless that was done before.
    public func open(_ path: String) throws -> OpenedBundle {
        let digest = try FileIdentity(of: path, what: "bundle").sha256
        let target = "\(directory)/\(digest)"
        let reader = try BundleReader(path: path, limits: limits)
        let manifest = reader.manifest
        func opened() -> OpenedBundle? {
            guard let hold = DirectoryHold(target), isUnpacked(target, manifest) else { return nil }
            return OpenedBundle(path: path, directory: target, manifest: manifest, hold: hold)
        }
        if let opened = opened() { return opened }
        try makePrivate(directory)
        let temporary = "\(directory)/\(BundleCache.temporaryPrefix)\(getpid())-\(UInt64.random(in: 0 ... .max))"
        guard mkdir(temporary, 0o700) == 0 else {
            throw BundleError(file: temporary, kind: .system(doing: "create it", code: errno))
        }
        defer { FileTree.remove(temporary) }
        var unpacker = try Unpacker(temporary)
        let found = try reader.readAll(into: &unpacker)
        guard found == digest else {
            throw BundleError(file: path, kind: .wrongDigest(expected: digest, found: found))
        }
        try unpacker.place.replace(BundleManifest.memberName, with: try manifest.json())
        if rename(temporary, target) != 0 {
            // Another process was quicker, or what is there is damaged.
            if let opened = opened() { return opened }
            FileTree.remove(target)
            _ = rename(temporary, target)
        }
        guard let opened = opened() else {
            throw BundleError(file: target, kind: .system(doing: "give the unpacked bundle its name", code: EAGAIN))
        }
        makeRoom(keeping: digest)
        return opened
    }

    /// Makes the cache directory, with those above it; refuses one of another user.
    private func makePrivate(_ path: String) throws {
        try Files.makeDirectory(path)
        var status = stat()
        guard stat(path, &status) == 0, status.st_uid == geteuid() else {
            throw BundleError(file: path, kind: .system(doing: "use a directory of another user", code: EPERM))
        }
        chmod(path, 0o700)
    }

    /// Whether a directory holds the bundle's members, complete.
    private func isUnpacked(_ target: String, _ manifest: BundleManifest) -> Bool {
        var status = stat()
        guard lstat(target, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
            let place = try? OpenDirectory(target)
        else { return false }
        let isChecked = manifest.members.reduce(0 as UInt64) { $0 + $1.size } <= BundleCache.checkLimit
        return manifest.members.allSatisfy { member in
            guard let (directory, name) = try? Unpacker.descend(place, member.name, makes: false),
                directory.kind(of: name) == .file, directory.size(of: name) == member.size
            else { return false }
            guard isChecked else { return true }
            guard let file = try? PlainFile(name, what: "member", in: directory) else { return false }
            return (try? FileIdentity(reading: file))?.sha256 == member.sha256
        }
    }
}

/// Writes the members of a bundle into a directory.
private struct Unpacker: BundleReader.Receiver {
    let place: OpenDirectory
    private var descriptor: Int32 = -1
    private var path = ""

    init(_ path: String) throws { place = try OpenDirectory(path) }

    /// The directory of a member, and its name there.
    static func descend(
        _ place: OpenDirectory, _ name: String, makes: Bool
    ) throws -> (directory: OpenDirectory, name: String) {
        var (directory, parts) = (place, name.split(separator: "/").map(String.init))
        let last = parts.removeLast()
        for part in parts { directory = makes ? try directory.makeDirectory(part) : try directory.directory(part) }
        return (directory, last)
    }

    mutating func begin(_ member: BundleManifest.Member) throws {
        let (directory, name) = try Unpacker.descend(place, member.name, makes: true)
        path = "\(directory.path)/\(name)"
        descriptor = openat(directory.descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BundleError(file: path, kind: .system(doing: "create it", code: errno)) }
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
        let code = Files.write(bytes, to: descriptor)
        guard code == 0 else {
            close(descriptor)
            throw BundleError(file: path, kind: .system(doing: "write", code: code))
        }
    }

    mutating func end(_ member: BundleManifest.Member) throws {
        guard close(descriptor) == 0 else {
            throw BundleError(file: path, kind: .system(doing: "write", code: errno))
        }
        descriptor = -1
    }
}
