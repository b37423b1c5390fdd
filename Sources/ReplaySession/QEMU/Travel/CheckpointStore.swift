// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// How a session uses checkpoints that outlive it.
public enum CheckpointUse: Sendable {
    /// It goes to those that there are, and keeps none.
    case existing
    /// It keeps new ones with them.
    case own
    /// Another process runs ahead and keeps them: the session makes no images of its own there.
    case besideAhead
    /// It is the one that runs ahead.
    case ahead
}

/// Checkpoints of one run that outlive a session, in parts (``CheckpointPart``): sessions at the same time use different ones.
///
/// They are in the user's cache and not in the run's directory: QEMU believes a checkpoint, and a run directory may come from a
/// stranger. The directory's name is a digest of all that decides a run: the recording, QEMU's input log, QEMU's version, the
/// machine, the files. So a checkpoint is never another run's.
final class CheckpointStore {
    private static let (lockName, aheadName) = ("lock", "ahead")
    /// All stores of a user together, as a multiple of the limit of one.
    private static let storesInAll: UInt64 = 2
    /// Parts of one run, at most.
    private static let mostParts = 4

    /// The store's directory.
    let directory: String
    /// Bytes on the disk, at most.
    let limit: UInt64
    private let lock: FileLock
    private var aheadLock: FileLock?
    private let backings: [SnapshotImage.Backing]

    /// Opens the store of a run.
    ///
    /// - Parameter creates: whether a store is made where there is none.
    /// - Returns: nil if there is none, if it is being removed, if there is no cache directory, or if a disk's image has a
    ///   format over which no image is laid.
    init?(
        in base: String?, key: String, limit: UInt64, creates: Bool, disks: [GuestConfiguration.Disk]
    ) throws(RunError) {
        guard let base else { return nil }
        var backings: [SnapshotImage.Backing] = []
        for disk in disks {
            guard let backing = try SnapshotImage.Backing(disk.image, format: disk.format) else { return nil }
            backings.append(backing)
        }
        self.backings = backings
        self.limit = limit
        directory = "\(base)/\(key)"
        guard creates || Files.exists("\(directory)/\(CheckpointStore.lockName)"),
            CheckpointStore.makeDirectories(directory)
        else { return nil }
        guard let lock = FileLock("\(directory)/\(CheckpointStore.lockName)", isShared: true) else { return nil }
        self.lock = lock
        // The stores' age is that of this file.
        lock.touch()
        CheckpointStore.removeOldest(in: base, besides: key, above: limit &* CheckpointStore.storesInAll)
    }

    // MARK: Parts

    private func directory(of part: Int) -> String { "\(directory)/\(part)" }

    /// The numbers of the parts that have checkpoints, ascending.
    var parts: [Int] {
        ((try? Files.list(directory)) ?? []).compactMap(Int.init).filter { CheckpointPart.isReady(directory(of: $0)) }
            .sorted()
    }

    /// What a part has; nil if it has nothing.
    func times(of part: Int) -> CheckpointTimes? { CheckpointPart.times(directory(of: part)) }

    /// QEMU's count up to which checkpoints were kept.
    var covered: UInt64 { parts.compactMap { times(of: $0)?.covered }.max() ?? 0 }

    /// Takes a part; nil if another session has it.
    func open(_ part: Int) -> CheckpointPart? {
        CheckpointPart(directory(of: part), number: part, over: backings)
    }

    /// The part with which a session begins; nil if it has none.
    func open(for use: CheckpointUse) -> CheckpointPart? {
        let there = parts
        if use == .ahead {
            guard claimAhead(), there.count < CheckpointStore.mostParts else { return nil }
            return (0..<CheckpointStore.mostParts).lazy.filter { !there.contains($0) }.compactMap(open).first
        }
        let known = there.map { (number: $0, covered: times(of: $0)?.covered ?? 0) }
        let found = known.sorted { $0.covered > $1.covered }.lazy.compactMap { self.open($0.number) }.first
        if let found { return found }
        return use == .own && there.isEmpty ? open(0) : nil
    }

    /// One process runs ahead of a run at a time.
    private func claimAhead() -> Bool {
        aheadLock = FileLock("\(directory)/\(CheckpointStore.aheadName)")
        return aheadLock != nil
    }

    /// Bytes of all parts on the disk.
    var bytes: UInt64 { CheckpointStore.bytes(of: directory) }

    /// Bytes of a part on the disk.
    func bytes(of part: Int) -> UInt64 { CheckpointStore.bytes(of: directory(of: part)) }

    // MARK: All stores

    /// The directory of all stores: `tt-analyze/checkpoints` in the user's cache.
    static var base: String? { UserCache.directory("checkpoints") }

    /// Makes a directory that only this user can enter, and those above it.
    private static func makeDirectories(_ path: String) -> Bool {
        var parts: [String] = []
        for part in path.split(separator: "/") {
            parts.append(String(part))
            mkdir("/" + parts.joined(separator: "/"), 0o700)
        }
        var information = stat()
        return lstat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
            && information.st_uid == geteuid() && information.st_mode & 0o077 == 0
    }

    private static func bytes(of directory: String) -> UInt64 {
        ((try? Files.list(directory)) ?? []).reduce(0) { sum, name in
            var information = stat()
            guard lstat("\(directory)/\(name)", &information) == 0 else { return sum }
            if information.st_mode & S_IFMT == S_IFDIR { return sum + bytes(of: "\(directory)/\(name)") }
            return sum + UInt64(max(0, information.st_blocks)) * 512
        }
    }

    /// Removes the stores that were used longest ago, until the others have so many bytes at most.
    private static func removeOldest(in base: String, besides own: String, above limit: UInt64) {
        var stores: [(path: String, bytes: UInt64, age: Int)] = []
        for name in (try? Files.list(base)) ?? [] where name != own {
            let path = "\(base)/\(name)"
            var information = stat()
            guard lstat("\(path)/\(lockName)", &information) == 0 else { continue }
            stores.append((path, bytes(of: path), information.st_mtim.tv_sec))
        }
        var total = stores.reduce(0) { $0 + $1.bytes }
        for store in stores.sorted(by: { $0.age < $1.age }) where total > limit {
            guard let lock = FileLock("\(store.path)/\(lockName)", creates: false) else { continue }
            withExtendedLifetime(lock) { FileTree.remove(store.path) }
            total -= store.bytes
        }
    }
}
