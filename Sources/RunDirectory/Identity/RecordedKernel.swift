// SPDX-License-Identifier: GPL-2.0-or-later

/// The kernel of a run, found again by its contents, so that its symbols name the run's addresses.
public enum RecordedKernel: Sendable, Equatable {
    /// The file with the recorded contents.
    case found(path: String)
    /// The file at the recorded path has other contents: its names would be wrong.
    case changed(path: String)
    /// There is no such file at the recorded path, in the run's directory, or next to it.
    case missing(path: String)

    /// Looks for the kernel that a run's manifest names.
    ///
    /// - Parameter path: the run's directory, or its log.
    /// - Returns: nil where there is no manifest, or it names no kernel.
    public static func find(forRun path: String) -> RecordedKernel? {
        let directory = Files.isRegular(path) ? Files.split(path).directory : path
        guard let place = try? OpenDirectory(directory), let manifest = try? Manifest.read(in: place),
            let kernel = manifest.files.first(where: { $0.role == GuestFile.kernelRole })
        else { return nil }
        var places = [place]
        // The files of a replay are next to its recording: DIR/replays/NAME.
        if manifest.kind == .replay, let above = try? OpenDirectory("\(place.path)/../..") { places.append(above) }
        var other: FileIdentity?
        for place in places {
            guard let found = try? FileFinder(place).find(kernel) else { continue }
            if found.sha256 == kernel.identity.sha256 { return .found(path: found.path) }
            other = found
        }
        return other.map { .changed(path: $0.path) } ?? .missing(path: kernel.identity.path)
    }
}
