// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// A run that can be made again: its settings, and the recording whose input log it followed.
public struct RepeatableRun: Sendable {
    /// The run's directory.
    public let path: String
    /// The directory of the recording; the run's own for a recording.
    public let recording: String
    /// The run's manifest.
    public let manifest: Manifest

    /// Finds the recording of a run: the run itself, the directory above `replays`, or that of `other`.
    ///
    /// - Parameter other: the run with which it is compared.
    /// - Throws: ``RunError`` if the path is no run directory, or its recording is not found.
    public init(_ path: String, comparedWith other: String) throws(RunError) {
        let manifest = try RepeatableRun.manifest(in: path)
        self.path = path
        self.manifest = manifest
        if manifest.kind == .recording {
            recording = path
            return
        }
        let found = ["\(path)/../..", other, "\(other)/../.."].first { candidate in
            guard let own = try? RepeatableRun.manifest(in: candidate) else { return false }
            return own.kind == .recording && own.recordingUUID == manifest.recordingUUID
        }
        guard let found else {
            throw .missing(what: "recording of the replay", name: path, remedy: .nameRecording)
        }
        recording = found
    }

    private static func manifest(in path: String) throws(RunError) -> Manifest {
        let place = try OpenDirectory(path, what: "run directory")
        guard place.has(Manifest.fileName) else {
            throw .stateDirectory(path: path, problem: "no \(Manifest.fileName) in it", remedy: .nameRecording)
        }
        return try Manifest.read(in: place)
    }
}
