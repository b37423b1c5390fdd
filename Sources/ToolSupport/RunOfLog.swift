// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// What the run directory of a log has besides the log: the kernel that the manifest names, as a symbol file, and the input
/// log.
public enum RunOfLog {
    /// The run directory of a log: the directory itself, or the directory of a file that has a manifest beside it.
    public static func directory(ofLog path: String) -> String? {
        var directory = path
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        if status.st_mode & S_IFMT != S_IFDIR {
            let slash = path.lastIndex(of: "/")
            directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        }
        return access("\(directory)/\(Manifest.fileName)", R_OK) == 0 ? directory : nil
    }

    /// The input log that the run of a log wrote or, for a replay in its recording's directory, was driven by; `nil` if there
    /// is none.
    public static func inputLog(ofLog path: String) -> String? {
        guard let directory = directory(ofLog: path), let resolved = realpath(directory, nil) else { return nil }
        defer { free(resolved) }
        var places = [String(cString: resolved)]
        let names = places[0].split(separator: "/")
        if names.count > 2, names[names.count - 2] == "replays" {
            places.append("/" + names.dropLast(2).joined(separator: "/"))
        }
        return places.map { "\($0)/replay.bin" }.first { access($0, R_OK) == 0 }
    }

    /// The path of the kernel that a run was made with; `nil` if the run names none or its file is gone or has changed: a file
    /// that was rebuilt in place would give wrong names.
    ///
    /// The file may have moved with the run: it is also looked for beside the log and beside the run directory.
    ///
    /// - Parameters:
    ///   - path: A log or a run directory.
    ///   - report: Receives a warning if the run names a kernel whose names are lost.
    public static func kernel(ofLog path: String, report: (String) -> Void = Diagnostics.warning) -> String? {
        guard let directory = directory(ofLog: path),
            let manifest = try? Manifest.read("\(directory)/\(Manifest.fileName)"), let kernel = manifest.kernel
        else { return nil }
        let named = kernel.path.hasPrefix("/") ? kernel.path : "\(directory)/\(kernel.path)"
        let places = [named, "\(directory)/\(kernel.name)", "\(directory)/../\(kernel.name)"]
        let present = places.filter { access($0, R_OK) == 0 }
        if let found = present.first(where: { isSame($0, kernel) }) { return found }
        report(
            present.isEmpty
                ? "\(named): the run's kernel is not there; addresses have no names (--symbols names a file)"
                : "\(present[0]): is not the kernel that the run was made with; addresses have no names (--symbols FILE "
                    + "uses it nevertheless)")
        return nil
    }

    /// Whether a file has the recorded size and digest.
    private static func isSame(_ path: String, _ kernel: FileIdentity) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, UInt64(status.st_size) == kernel.size else {
            return false
        }
        return (try? FileIdentity(of: path, what: "kernel"))?.sha256 == kernel.sha256
    }
}
