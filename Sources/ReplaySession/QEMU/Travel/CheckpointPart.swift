// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Images with checkpoints of one run: qcow2 images of the machine and of what the guest wrote to its disks. One QEMU at a time
/// uses them.
///
/// QEMU does not wait until they are on the disk (cache=unsafe), so they are usable until the computer starts again only.
final class CheckpointPart {
    /// Names in the directory.
    private static let (machineName, readyName, lockName, timesName) = ("machine.qcow2", "ready", "lock", "times")

    /// Its number in the store.
    let number: Int
    private let directory: String
    private let lock: FileLock
    private let backings: [SnapshotImage.Backing]

    /// Opens a directory; nil if another session uses it, or if it cannot be made.
    init?(_ directory: String, number: Int, over backings: [SnapshotImage.Backing]) {
        self.directory = directory
        self.number = number
        self.backings = backings
        mkdir(directory, 0o700)
        guard let lock = FileLock("\(directory)/\(CheckpointPart.lockName)") else { return nil }
        self.lock = lock
    }

    /// The image of the machine.
    var machine: String { "\(directory)/\(CheckpointPart.machineName)" }
    /// The images over the guest's disks.
    var disks: [String] { backings.indices.map { "\(directory)/disk\($0).qcow2" } }

    /// Whether the images have the state of the first instruction.
    var isReady: Bool { CheckpointPart.isReady(directory) }

    /// Whether the images in a directory have the state of the first instruction.
    static func isReady(_ directory: String) -> Bool {
        let path = "\(directory)/\(readyName)"
        guard Files.size(path) < 1 << 10, let made = try? Files.contents(path) else { return false }
        return !made.isEmpty && made == bootIdentity
    }

    /// What Linux draws anew at each start of the computer (proc_sys_kernel(5)); nothing where it cannot be read.
    private static let bootIdentity = (try? Files.contents("/proc/sys/kernel/random/boot_id")) ?? []

    /// What a directory's images have, as its session wrote it last; nil if they are not usable.
    static func times(_ directory: String) -> CheckpointTimes? {
        guard isReady(directory), Files.size("\(directory)/\(timesName)") < 1 << 20,
            let bytes = try? Files.contents("\(directory)/\(timesName)")
        else { return nil }
        return CheckpointTimes(text: String(decoding: bytes, as: UTF8.self))
    }

    /// What the images have.
    var times: CheckpointTimes {
        get { CheckpointPart.times(directory) ?? CheckpointTimes() }
        set { try? Files.replace("\(directory)/\(CheckpointPart.timesName)", with: Array(newValue.text.utf8)) }
    }

    /// Makes new images, unless those that are there have a first state to go back to.
    func prepare() throws(RunError) {
        if isReady, ([machine] + disks).allSatisfy(Files.exists) { return }
        clear()
        try Files.replace(machine, with: SnapshotImage.contents(over: nil))
        for (path, backing) in zip(disks, backings) {
            try Files.replace(path, with: SnapshotImage.contents(over: backing))
        }
    }

    /// The first state is kept now.
    func setReady() throws(RunError) {
        try Files.replace("\(directory)/\(CheckpointPart.readyName)", with: CheckpointPart.bootIdentity)
    }

    /// Forgets everything: the images cannot be used.
    func clear() {
        for name in [CheckpointPart.readyName, CheckpointPart.timesName] { unlink("\(directory)/\(name)") }
    }
}
