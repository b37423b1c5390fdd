// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// The files of one run: of the recording in the state directory itself, of a replay in `replays/NAME`.
public struct RunFiles: Sendable, Equatable {
    public let directory: String

    /// What the plugin writes.
    public var log: String { "\(directory)/ttd.log" }
    public var manifest: String { "\(directory)/\(Manifest.fileName)" }
    /// What the guest wrote to its first serial port.
    public var serialLog: String { "\(directory)/serial.log" }
    /// What QEMU and the plugin said.
    public var qemuLog: String { "\(directory)/qemu.log" }

    /// QEMU's own input log: a recording's, or a replay's copy of one that had to be mended.
    public var inputLog: String { "\(directory)/replay.bin" }

    /// Snapshots of the machine, where a recording keeps them.
    public var snapshotImage: String { "\(directory)/snap.qcow2" }

    /// All that a run may have left, the manifest last.
    fileprivate var all: [String] {
        [log, log + ".open", inputLog, snapshotImage, serialLog, qemuLog, manifest + ".new", manifest]
    }
}

/// A directory that holds a recording and its replays, held by one tool at a time.
///
///     DIR/manifest.json ttd.log replay.bin serial.log qemu.log snap.qcow2 .lock
///     DIR/replays/NAME/manifest.json ttd.log serial.log qemu.log
///
/// The lock is a `flock` on `.lock`. QEMU inherits it: should the tool be killed, the directory stays in use for as
/// long as QEMU goes on writing to it.
public final class StateDirectory {
    /// Absolute.
    public let path: String
    public let recording: RunFiles
    /// QEMU's own input log.
    public var inputLog: String { recording.inputLog }
    let lockDescriptor: Int32

    private var replays: String { "\(path)/replays" }

    private init(path: String, lockDescriptor: Int32) {
        self.path = path
        self.lockDescriptor = lockDescriptor
        recording = RunFiles(directory: path)
    }

    deinit { close(lockDescriptor) }

    /// A directory for a new recording.
    ///
    /// - Parameter overwrite: whether an earlier recording and its replays are removed. Files that are not ours stay.
    /// - Throws: when the directory is in use, holds a recording, or holds something else.
    public static func create(_ path: String, overwrite: Bool) throws(SessionError) -> StateDirectory {
        try Files.makeDirectory(path)
        let absolute = try Files.absolute(path, what: "state directory")
        let names = try Files.list(absolute)
        let hasRecording = names.contains(Manifest.fileName) || names.contains("ttd.log")
        let strangers = names.filter { $0 != ".lock" }
        if !hasRecording, let stranger = strangers.first {
            throw .stateDirectory(
                path: path, problem: "not a state directory (it holds \(stranger))",
                remedy: "name a new or an empty directory")
        }
        let directory = StateDirectory(path: absolute, lockDescriptor: try lock(absolute))
        if hasRecording {
            guard overwrite else {
                throw .stateDirectory(
                    path: path, problem: "holds a recording already", remedy: "name another, or give --overwrite")
            }
            try directory.removeRecording()
        }
        return directory
    }

    /// The directory of a recording that was made before.
    public static func open(_ path: String) throws(SessionError) -> StateDirectory {
        let absolute = try Files.absolute(path, what: "state directory")
        guard Files.exists("\(absolute)/\(Manifest.fileName)") else {
            throw .stateDirectory(
                path: path, problem: "no \(Manifest.fileName) in it", remedy: "name a directory that tt-record made")
        }
        return StateDirectory(path: absolute, lockDescriptor: try lock(absolute))
    }

    /// The names of the replays, sorted.
    public func replayNames() throws(SessionError) -> [String] {
        Files.exists(replays) ? try Files.list(replays) : []
    }

    /// The directory of a new replay.
    ///
    /// - Parameters:
    ///   - name: nil takes the next free number.
    ///   - overwrite: whether an earlier replay of this name is removed.
    public func makeReplay(name: String?, overwrite: Bool) throws(SessionError) -> (name: String, files: RunFiles) {
        let taken = try replayNames()
        let name = name ?? "\((taken.compactMap { Int($0) }.max() ?? 0) + 1)"
        guard StateDirectory.isValidName(name) else {
            throw .refused(
                what: "replay name \"\(name)\"", why: "it becomes a directory's name",
                remedy: "use letters, digits, '.', '_' and '-', not beginning with '.' or '-'")
        }
        let files = RunFiles(directory: "\(replays)/\(name)")
        if taken.contains(name) {
            guard overwrite else {
                throw .stateDirectory(
                    path: files.directory, problem: "holds a replay already",
                    remedy: "choose another --name, or give --overwrite")
            }
            for file in files.all { try Files.remove(file) }
        }
        try Files.makeDirectory(files.directory)
        return (name, files)
    }

    static func isValidName(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 100, first != UInt8(ascii: "."),
            first != UInt8(ascii: "-")
        else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    /// The files of the recording and of its replays, and nothing else.
    func removeRecording() throws(SessionError) {
        for name in try replayNames() {
            let files = RunFiles(directory: "\(replays)/\(name)")
            for file in files.all { try Files.remove(file) }
            rmdir(files.directory)
        }
        rmdir(replays)
        for file in recording.all { try Files.remove(file) }
    }

    // MARK: The lock

    private static func lock(_ directory: String) throws(SessionError) -> Int32 {
        let path = "\(directory)/.lock"
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .system(doing: "open", path: path, code: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let holder = Files.tail(path).split(separator: "\n").joined(separator: ", ")
            close(descriptor)
            guard code == EWOULDBLOCK else { throw .system(doing: "lock", path: path, code: code) }
            throw .stateDirectory(
                path: directory, problem: "in use by \(holder.isEmpty ? "another tool" : holder)",
                remedy: "wait until it has ended, or end it")
        }
        ftruncate(descriptor, 0)
        let tool = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "a tool"
        note("\(tool) (process \(getpid()))", descriptor)
        return descriptor
    }

    /// Says in the lock file who else holds it.
    func noteHolder(_ text: String) { StateDirectory.note(text, lockDescriptor) }

    private static func note(_ text: String, _ descriptor: Int32) {
        let line = Array("\(text)\n".utf8)
        _ = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
}
