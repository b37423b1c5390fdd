// SPDX-License-Identifier: GPL-2.0-or-later

import Reporting
import RunDirectory

/// Everything that replays a recording: its run directory without replays, logs of branches and indexes, and the files of
/// the guest.
struct RecordingFiles {
    /// The members, in the directory `recording`.
    private(set) var members: [BundleMember] = []

    /// Names that are not needed for a replay, or are in the bundle already.
    private static let leftOut: Set<String> = [
        RunFiles.logName, RunFiles.lockName, RunFiles.replaysName, RunFiles.engineLogName,
    ]

    /// Throws if the original is no recording in a run directory.
    init(_ run: ReportedRun, _ manifest: inout BundleManifest) throws {
        guard let directory = run.directory else {
            throw BundleError(
                file: run.log.path,
                kind: .manifest("the recording is asked for, but the original is in no run directory"))
        }
        let place = try OpenDirectory(directory, what: "run directory")
        let recorded = try Manifest.read(in: place)
        var names: Set<String> = []
        for name in try place.names() where !RecordingFiles.leftOut.contains(name) {
            guard place.kind(of: name) == .file, !name.hasSuffix(".ttidx"), MemberName.isValid(name) else { continue }
            names.insert(name)
            members.append(BundleMember("recording/\(name)", .file("\(place.path)/\(name)")))
        }
        let finder = FileFinder(place)
        for file in recorded.files {
            guard let found = try? finder.find(file), found.sha256 == file.identity.sha256 else {
                manifest.missing.append(
                    BundleManifest.Missing("\(file.role) \(file.identity.name)", "not found with the recorded contents")
                )
                continue
            }
            guard MemberName.isValid(file.identity.name), !names.contains(file.identity.name) else { continue }
            names.insert(file.identity.name)
            members.append(BundleMember("recording/\(file.identity.name)", .file(found.path)))
        }
    }
}
