// SPDX-License-Identifier: GPL-2.0-or-later

/// A file that determines the guest's run, by its role.
public struct GuestFile: Codable, Hashable, Sendable {
    /// `kernel`, `initrd`, `disk 0`; the engine names them. Unique in a run.
    public var role: String
    /// The file's identity at the beginning of the run.
    public var identity: FileIdentity

    /// A file in a role.
    public init(role: String, identity: FileIdentity) {
        self.role = role
        self.identity = identity
    }

    /// The role of the kernel that the guest boots; its symbols name the guest's addresses.
    public static let kernelRole = "kernel"
    /// The role of a file that the engine had open without being asked for it by name; a number follows.
    package static let openFileRole = "open file"
    /// The role of a disk whose contents are in the log as far as the guest read them; the disk's name follows. A replay
    /// does not need it.
    package static let loggedRole = "logged disk"
    /// The role of a file of the engine itself that the guest executes; its name follows. A replay looks for it in the
    /// engine's own directories.
    package static let firmwareRole = "firmware"
}

/// The progress of reading files.
public struct HashingProgress: Sendable {
    /// The file that is being read.
    public var path: String
    /// Bytes of all files read so far.
    public var done: UInt64
    /// Bytes of all files.
    public var total: UInt64

    package init(path: String, done: UInt64, total: UInt64) {
        self.path = path
        self.done = done
        self.total = total
    }
}

extension GuestFile {
    /// Reads files and returns their identities, in the same order.
    ///
    /// - Parameter progress: called every 16 MiB. Disks of several GB take seconds.
    public static func identify(
        _ files: [(role: String, path: String)], progress: (HashingProgress) -> Void = { _ in }
    ) throws(RunError) -> [GuestFile] {
        var state = HashingProgress(path: "", done: 0, total: files.reduce(0) { $0 &+ Files.size($1.path) })
        var list: [GuestFile] = []
        for (role, path) in files {
            state.path = path
            let identity = try FileIdentity(of: path, what: role) { count in
                state.done &+= count
                progress(state)
            }
            list.append(GuestFile(role: role, identity: identity))
        }
        return list
    }
}
