// SPDX-License-Identifier: GPL-2.0-or-later

/// The files of one run: of the recording in the run directory itself, or of a replay in a directory of its own.
public struct RunFiles: Sendable {
    /// The run's own directory.
    package let place: OpenDirectory

    package init(_ place: OpenDirectory) { self.place = place }

    /// The run's own directory, absolute.
    public var directory: String { place.path }
    /// The log of branches, events and accesses.
    public var log: String { "\(directory)/\(RunFiles.logName)" }
    /// The run's settings and its outcome.
    public var manifest: String { "\(directory)/\(Manifest.fileName)" }
    /// The guest's output on its first serial port.
    public var serialLog: String { "\(directory)/\(RunFiles.serialLogName)" }
    /// The messages of the engine and the recorder.
    public var engineLog: String { "\(directory)/\(RunFiles.engineLogName)" }
    /// The engine's own input log: a recording's, or a replay's copy of one that had to be repaired.
    public var inputLog: String { "\(directory)/\(RunFiles.inputLogName)" }
    /// Snapshots of the machine, where a recording keeps them.
    public var snapshotImage: String { "\(directory)/\(RunFiles.snapshotImageName)" }

    package static let logName = "ttd.log"
    package static let serialLogName = "serial.log"
    package static let engineLogName = "qemu.log"
    /// The messages of Xen's tools and of the daemon.
    package static let xenLogName = "xen.log"
    package static let inputLogName = "replay.bin"
    package static let snapshotImageName = "snap.qcow2"
    /// Copies of disks that a guest writes to while it is recorded.
    package static let diskCopyNames = (0..<8).map { "disk\($0).img" }
    package static let lockName = ".lock"
    package static let replaysName = "replays"
    /// The guest's kernel modules and their addresses, as a tool found them in its memory.
    package static let modulesName = "proc-modules"

    /// All that a run may have left, the manifest last.
    package static let allNames =
        [
            logName, logName + ".open", inputLogName, inputLogName + ".new", snapshotImageName,
            snapshotImageName + ".new", serialLogName, engineLogName, xenLogName, modulesName,
        ] + diskCopyNames + [Manifest.fileName + ".new", Manifest.fileName]

    /// Removes the files of an earlier run, and nothing else.
    package func removeAll() throws(RunError) {
        for name in RunFiles.allNames { try place.remove(name) }
    }

    /// Creates the files that the engine writes to, so that it follows no link at their names.
    func createEmpty() throws(RunError) {
        for name in [RunFiles.serialLogName, RunFiles.engineLogName] { try place.createEmpty(name) }
    }

    /// The manifest of the run.
    public func readManifest() throws(RunError) -> Manifest { try Manifest.read(in: place) }

    /// Replaces the manifest of the run.
    public func write(_ manifest: Manifest) throws(RunError) {
        try place.replace(Manifest.fileName, with: try manifest.json(path: self.manifest))
    }
}
