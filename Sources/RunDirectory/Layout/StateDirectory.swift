// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// A directory that holds a recording and its replays, held by one tool at a time.
///
///     DIR/manifest.json ttd.log replay.bin serial.log qemu.log snap.qcow2 .lock
///     DIR/replays/NAME/manifest.json ttd.log serial.log qemu.log
///
/// The directory may come from a stranger: no link in it is followed, and only files of this layout are written or
/// removed (docs/security.md).
public final class StateDirectory {
    /// The files of the recording.
    public let recording: RunFiles
    package let lock: DirectoryLock

    private init(_ place: OpenDirectory) throws(RunError) {
        recording = RunFiles(place)
        lock = try DirectoryLock(place)
    }

    /// Absolute.
    public var path: String { recording.directory }
    /// The engine's own input log.
    public var inputLog: String { recording.inputLog }

    /// A directory for a new recording.
    ///
    /// - Parameters:
    ///   - overwrite: whether an earlier recording and its replays are removed. Files that are not of the layout stay.
    ///   - inputs: files that the new recording needs. A directory that holds one of them at a place that is removed
    ///     or written is refused.
    /// - Throws: when the directory is in use, holds a recording, or holds something else.
    public static func create(
        _ path: String, overwrite: Bool, inputs: [String] = []
    ) throws(RunError) -> StateDirectory {
        try Files.makeDirectory(path)
        let place = try OpenDirectory(path, what: "state directory")
        let names = try place.names()
        let hasRecording = names.contains(Manifest.fileName) || names.contains(RunFiles.logName)
        if !hasRecording, let stranger = names.first(where: { $0 != RunFiles.lockName }) {
            throw .stateDirectory(
                path: path, problem: "not a state directory (it holds \(stranger))", remedy: .nameEmptyDirectory)
        }
        if let input = inputs.first(where: { isOfLayout($0, in: place.path) }) {
            throw .stateDirectory(
                path: path, problem: "holds \(input), which the recording needs", remedy: .nameEmptyDirectory)
        }
        let directory = try StateDirectory(place)
        if hasRecording {
            guard overwrite else {
                throw .stateDirectory(
                    path: path, problem: "holds a recording already", remedy: .nameAnotherOrOverwrite)
            }
            try directory.removeRecording()
        }
        try directory.recording.createEmpty()
        return directory
    }

    /// The directory of a recording that was made before.
    public static func open(_ path: String) throws(RunError) -> StateDirectory {
        let place = try OpenDirectory(path, what: "state directory")
        guard place.has(Manifest.fileName) else {
            throw .stateDirectory(path: path, problem: "no \(Manifest.fileName) in it", remedy: .nameRecording)
        }
        return try StateDirectory(place)
    }

    /// Whether a file lies where a run's files are written or removed.
    private static func isOfLayout(_ path: String, in directory: String) -> Bool {
        guard let absolute = try? Files.absolute(path, what: "file"), absolute.hasPrefix(directory + "/") else {
            return false
        }
        let parts = absolute.dropFirst(directory.utf8.count + 1).split(separator: "/").map(String.init)
        let names = RunFiles.allNames + [RunFiles.lockName]
        return parts.count == 1 && names.contains(parts[0]) || parts.count == 3 && parts[0] == RunFiles.replaysName
    }

    /// The names of the replays, sorted.
    public func replayNames() throws(RunError) -> [String] {
        guard recording.place.has(RunFiles.replaysName) else { return [] }
        return try recording.place.directory(RunFiles.replaysName).names()
    }

    /// The directory of a new replay.
    ///
    /// - Parameters:
    ///   - name: nil takes the next free number.
    ///   - overwrite: whether an earlier replay of this name is removed.
    public func makeReplay(name: String?, overwrite: Bool) throws(RunError) -> (name: String, files: RunFiles) {
        let taken = try replayNames()
        let name = name ?? StateDirectory.nextNumber(after: taken)
        guard StateDirectory.isValidName(name) else {
            throw .refused(
                what: "replay name \"\(name)\"", why: "it becomes a directory's name",
                remedy: .otherName(rule: "letters, digits, '.', '_' and '-', not beginning with '.' or '-'"))
        }
        let replays = try recording.place.makeDirectory(RunFiles.replaysName)
        if taken.contains(name) {
            guard overwrite else {
                throw .stateDirectory(
                    path: "\(replays.path)/\(name)", problem: "holds a replay already",
                    remedy: .nameAnotherReplayOrOverwrite)
            }
        }
        let files = RunFiles(try replays.makeDirectory(name))
        try files.removeAll()
        try files.createEmpty()
        return (name, files)
    }

    /// The smallest free number after the largest one that is taken.
    private static func nextNumber(after taken: [String]) -> String {
        let largest = taken.compactMap { Int($0) }.max() ?? 0
        guard largest < Int.max else { return (1...).lazy.map { "\($0)" }.first { !taken.contains($0) } ?? "1" }
        return "\(max(0, largest) + 1)"
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

    /// Removes the files of the recording and of its replays, and nothing else.
    package func removeRecording() throws(RunError) {
        let place = recording.place
        if place.has(RunFiles.replaysName) {
            let replays = try place.directory(RunFiles.replaysName)
            for name in try replays.names() {
                try RunFiles(try replays.directory(name)).removeAll()
                replays.removeDirectory(name)
            }
            place.removeDirectory(RunFiles.replaysName)
        }
        try recording.removeAll()
    }
}
