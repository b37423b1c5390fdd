// SPDX-License-Identifier: GPL-2.0-or-later

/// Finds the files of a recording again, by their contents.
///
/// A file is at its recorded path or, if the run directory was moved or copied together with it, in the run directory
/// or next to it. The manifest may come from a stranger: only regular files are opened, nothing in the run directory is
/// followed, and a file of another size is not read.
public struct FileFinder {
    private let directory: OpenDirectory
    private let parent: String
    /// Called with the bytes read since the last call.
    private let progress: (UInt64) -> Void

    package init(_ directory: OpenDirectory, progress: @escaping (UInt64) -> Void = { _ in }) {
        self.directory = directory
        parent = Files.split(directory.path).directory
        self.progress = progress
    }

    /// A finder for the files of the recording in a run directory, or of a replay in it.
    public init(_ path: String) throws(RunError) { self.init(try OpenDirectory(path, what: "run directory")) }

    /// The file with the recorded contents.
    ///
    /// - Returns: its identity with the path where it was found. If no file has the contents, the identity of the file
    ///   at the recorded path; the digest is empty if the sizes differ.
    /// - Throws: ``RunError/missing(what:name:remedy:)`` if no such file exists.
    public func find(_ file: GuestFile) throws(RunError) -> FileIdentity {
        let recorded = file.identity
        let name = recorded.name
        var other: FileIdentity?
        var failure: RunError?
        let candidates: [(path: String, place: OpenDirectory?)] = [
            (recorded.path, recorded.path.hasPrefix("/") ? nil : directory), (name, directory),
            ("\(parent)/\(name)", nil),
        ]
        for (path, place) in candidates where !(place == nil && isInside(path)) && exists(path, place) {
            do throws(RunError) {
                let found = try identity(path, place, like: file)
                if found.sha256 == recorded.sha256 { return found }
                if other == nil { other = found }
            } catch {
                if failure == nil { failure = error }
            }
        }
        if let other { return other }
        throw failure ?? .missing(what: file.role, name: recorded.path, remedy: .bringBack)
    }

    /// Paths into the run directory are opened through it, so that no link is followed.
    private func isInside(_ path: String) -> Bool { path.hasPrefix(directory.path + "/") }

    private func exists(_ path: String, _ place: OpenDirectory?) -> Bool {
        place.map { $0.has(path) } ?? Files.exists(path)
    }

    private func identity(
        _ path: String, _ place: OpenDirectory?, like file: GuestFile
    ) throws(RunError) -> FileIdentity {
        let open = try PlainFile(path, what: file.role, in: place)
        var found = FileIdentity(path: open.path, size: open.size, sha256: "")
        if open.size == file.identity.size {
            (found.size, found.sha256) = try FileIdentity.read(open, progress: progress)
        }
        return found
    }
}
