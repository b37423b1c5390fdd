// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Files that belong to the tools: recorders and daemons.
enum ToolFile {
    /// Looks for a file in the one that an environment variable names, next to the executable, in ../lib/tt-analyze, and in a
    /// build directory of the source tree that the executable was built in.
    static func find(
        _ name: String, variable: String, buildDirectory: String, what: String
    ) throws(RunError) -> String {
        if let value = getenv(variable), value.pointee != 0 {
            let path = String(cString: value)
            guard Files.exists(path) else {
                throw .missing(what: what, name: path, remedy: .correctVariable(variable))
            }
            return path
        }
        var directory = ExecutableFile.directory
        var candidates = ["\(directory)/\(name)", "\(directory)/../lib/tt-analyze/\(name)"]
        for _ in 0..<5 {
            candidates.append("\(directory)/\(buildDirectory)/\(name)")
            guard let slash = directory.lastIndex(of: "/") else { break }
            directory = String(directory[..<slash])
        }
        for candidate in candidates where Files.exists(candidate) { return candidate }
        throw .missing(what: what, name: name, remedy: .buildRecorder(searched: candidates))
    }
}

/// Programs of the system.
public enum SystemProgram {
    /// The path of a program: given with a slash, or found in PATH.
    public static func locate(_ name: String) -> String? {
        if name.contains("/") { return Files.isExecutable(name) ? (try? Files.absolute(name, what: "program")) : nil }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        for directory in path.split(separator: ":") {
            let candidate = "\(directory)/\(name)"
            if Files.isExecutable(candidate) { return candidate }
        }
        return nil
    }
}
