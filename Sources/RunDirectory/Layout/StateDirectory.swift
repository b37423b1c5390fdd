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

    private init(_ place: OpenDirectory, isShared: Bool = false) throws(RunError) {
        recording = RunFiles(place)
        lock = try DirectoryLock(place, isShared: isShared)
    }

    /// Absolute.
    public var path: String { recording.directory }
    /// The engine's own input log.
    public var inputLog: String { recording.inputLog }

    /// A directory for a new recording.
    ///
    /// - Parameters:
    ///   - overwrite: whether an earlier recording and its replays are removed. Files that are not of the layout stay.
    ///   - inputs: files that the new recording needs. A directory that holds one of them is refused.
    /// - Throws: when the directory is in use, holds a recording, or holds something else.
    public static func create(
        _ path: String, overwrite: Bool, inputs: [String] = []
    ) throws(RunError) -> StateDirectory {
        try Files.makeDirectory(path)
        let place = try OpenDirectory(path, what: "run directory")
        let names = try place.names()
        let hasRecording = names.contains(Manifest.fileName) || names.contains(RunFiles.logName)
        if !hasRecording, let stranger = names.first(where: { $0 != RunFiles.lockName }) {
            throw .stateDirectory(
                path: path, problem: "not a run directory (it holds \(stranger))", remedy: .nameEmptyDirectory)
        }
        if let input = inputs.first(where: { isInside($0, place.path) }) {
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
    ///
    /// - Parameter isShared: nothing will be written to it; others may read it at the same time.
    public static func open(_ path: String, isShared: Bool = false) throws(RunError) -> StateDirectory {
        let place = try OpenDirectory(path, what: "run directory")
        guard place.has(Manifest.fileName) else {
            throw .stateDirectory(path: path, problem: "no \(Manifest.fileName) in it", remedy: .nameRecording)
        }
        return try StateDirectory(place, isShared: isShared)
    }

    /// A directory for a replay outside of the recording's.
    ///
    /// - Parameter overwrite: whether an earlier replay in it is removed.
    /// - Throws: when the directory is in use, holds a replay, or holds something else.
    package static func createReplay(
        at path: String, overwrite: Bool
    ) throws(RunError) -> (files: RunFiles, lock: DirectoryLock) {
        try Files.makeDirectory(path)
        let place = try OpenDirectory(path, what: "directory of the replay")
        let names = try place.names().filter { $0 != RunFiles.lockName }
        if names.contains(Manifest.fileName) {
            guard try Manifest.read(in: place).kind == .replay else {
                throw .stateDirectory(path: path, problem: "holds a recording", remedy: .nameEmptyDirectory)
            }
            guard overwrite else {
                throw .stateDirectory(
                    path: path, problem: "holds a replay already", remedy: .nameAnotherReplayOrOverwrite)
            }
        } else if let stranger = names.first {
            throw .stateDirectory(
                path: path, problem: "not the directory of a replay (it holds \(stranger))",
                remedy: .nameEmptyDirectory)
        }
        let lock = try DirectoryLock(place)
        let files = RunFiles(place)
        try files.removeAll()
        try files.createEmpty()
        return (files, lock)
    }

    /// Whether a file is in a directory.
    private static func isInside(_ path: String, _ directory: String) -> Bool {
        (try? Files.absolute(path, what: "file"))?.hasPrefix(directory + "/") ?? false
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

    /// Removes the directory of a replay that holds nothing any more.
    package func removeEmptyReplay(_ name: String) throws(RunError) {
        try recording.place.directory(RunFiles.replaysName).removeDirectory(name)
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
