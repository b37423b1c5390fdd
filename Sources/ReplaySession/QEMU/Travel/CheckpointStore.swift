// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Checkpoints of one run that outlive a session: qcow2 images of the machine and of what the guest wrote to its disks.
///
/// They are in the user's cache and not in the run's directory: QEMU believes a checkpoint, and a run directory may come from a
/// stranger. The directory's name is a digest of all that decides a run: the recording, QEMU's input log, QEMU's version, the
/// machine, the files. So a checkpoint is never another run's. One session at a time uses them.
final class CheckpointStore {
    /// Names in the store.
    private static let (machineName, readyName, lockName) = ("machine.qcow2", "ready", "lock")
    /// All stores of a user together, as a multiple of the limit of one.
    private static let storesInAll: UInt64 = 4

    /// The store's directory.
    let directory: String
    /// Bytes on the disk, at most.
    let limit: UInt64
    private let lock: Int32
    private let backings: [SnapshotImage.Backing]

    /// Opens the store of a run.
    ///
    /// - Parameter creates: whether a store is made where there is none.
    /// - Returns: nil if there is none, if another session uses it, if there is no cache directory, or if a disk's image has a format over which no
    ///   image is laid.
    init?(key: String, limit: UInt64, creates: Bool, disks: [GuestConfiguration.Disk]) throws(RunError) {
        guard let base = CheckpointStore.base else { return nil }
        var backings: [SnapshotImage.Backing] = []
        for disk in disks {
            guard let backing = try SnapshotImage.Backing(disk.image, format: disk.format) else { return nil }
            backings.append(backing)
        }
        self.backings = backings
        self.limit = limit
        directory = "\(base)/\(key)"
        guard creates || Files.exists("\(directory)/\(CheckpointStore.readyName)"),
            CheckpointStore.makeDirectories(directory)
        else { return nil }
        let descriptor = open(
            "\(directory)/\(CheckpointStore.lockName)", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return nil }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        lock = descriptor
        // The stores' age is that of this file.
        futimens(descriptor, nil)
        CheckpointStore.removeOldest(in: base, besides: key, above: limit &* CheckpointStore.storesInAll)
    }

    deinit { close(lock) }

    /// The image of the machine.
    var machine: String { "\(directory)/\(CheckpointStore.machineName)" }
    /// The images over the guest's disks.
    var disks: [String] { backings.indices.map { "\(directory)/disk\($0).qcow2" } }

    /// Whether the images have the state of the first instruction.
    var isReady: Bool { Files.exists("\(directory)/\(CheckpointStore.readyName)") }

    /// Makes new images, unless those that are there have a first state to go back to.
    func prepare() throws(RunError) {
        if isReady, ([machine] + disks).allSatisfy(Files.exists) { return }
        unlink("\(directory)/\(CheckpointStore.readyName)")
        try Files.replace(machine, with: SnapshotImage.contents(over: nil))
        for (path, backing) in zip(disks, backings) {
            try Files.replace(path, with: SnapshotImage.contents(over: backing))
        }
    }

    /// The first state is kept now.
    func setReady() throws(RunError) { try Files.replace("\(directory)/\(CheckpointStore.readyName)", with: []) }

    /// Forgets everything: the images cannot be used.
    func clear() { unlink("\(directory)/\(CheckpointStore.readyName)") }

    /// Bytes on the disk.
    var bytes: UInt64 { CheckpointStore.bytes(of: directory) }

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
            let descriptor = open("\(store.path)/\(lockName)", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { continue }
            FileTree.remove(store.path)
            total -= store.bytes
        }
    }
}
