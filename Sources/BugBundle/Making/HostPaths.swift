// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Reporting
import RunDirectory

/// The directories of the machine that made the runs: of the runs, of their files and of the engine, and the user's home.
///
/// Directories of the system, `/usr` and such, are not among them: they are the same on each machine, and a guest's command
/// line can have them.
struct HostPaths {
    private let prefixes: [String]

    private static let system = ["/bin/", "/dev/", "/etc/", "/lib/", "/proc/", "/sbin/", "/sys/", "/usr/"]

    /// The directories of runs.
    init(_ runs: [ReportedRun]) {
        let home = getenv("HOME").map { String(cString: $0) }
        var known = home.map { [$0] } ?? []
        var manifests: [Manifest] = []
        for directory in runs.compactMap(\.directory) {
            known.append(directory)
            if let absolute = try? Files.absolute(directory, what: "run directory") { known.append(absolute) }
            if let manifest = try? Manifest.read("\(directory)/\(Manifest.fileName)") { manifests.append(manifest) }
        }
        self.init(manifests, and: known)
    }

    /// - Parameters:
    ///   - manifests: the manifests of the runs.
    ///   - directories: further directories.
    init(_ manifests: [Manifest], and directories: [String]) {
        var known = Set(directories)
        for path in manifests.flatMap({ $0.files.map(\.identity.path) + HostPaths.paths(in: $0.engine.details) }) {
            if let slash = path.lastIndex(of: "/"), slash != path.startIndex { known.insert(String(path[..<slash])) }
        }
        prefixes = known.filter { $0.utf8.count > 1 }.map { $0 + "/" }
            .filter { path in !HostPaths.system.contains { path.hasPrefix($0) } }
            .sorted { ($1.utf8.count, $0) < ($0.utf8.count, $1) }
    }

    /// The members `path` and `program` of the engine's settings that are absolute.
    private static func paths(in value: JSONValue) -> [String] {
        switch value {
        case .array(let values): return values.flatMap(paths)
        case .object(let members):
            return members.flatMap { name, value in
                guard name == "path" || name == "program", let path = value.string else { return paths(in: value) }
                return path.hasPrefix("/") ? [path] : []
            }
        default: return []
        }
    }

    /// The text without the directories: files are named without them.
    func remove(from text: String) -> String {
        prefixes.reduce(text) { text, prefix in
            guard text.contains(prefix) else { return text }
            return text.split(separator: prefix, omittingEmptySubsequences: false).joined()
        }
    }
}

extension Manifest {
    /// The manifest without the directories of the machine that made the run: files by their names, and no such directory
    /// in the engine's own settings and in texts.
    func neutral(without paths: HostPaths) -> Manifest {
        var result = self
        for index in result.files.indices { result.files[index].identity.path = result.files[index].identity.name }
        result.engine.details = Manifest.neutral(result.engine.details, paths)
        result.forced = forced?.map { difference in
            ManifestDifference(
                what: difference.what, recorded: paths.remove(from: difference.recorded),
                now: paths.remove(from: difference.now))
        }
        if let messages = outcome?.messages { result.outcome?.messages = messages.map(paths.remove) }
        return result
    }

    private static func neutral(_ value: JSONValue, _ paths: HostPaths) -> JSONValue {
        switch value {
        case .string(let text): .string(paths.remove(from: text))
        case .array(let values): .array(values.map { neutral($0, paths) })
        case .object(let members): .object(members.mapValues { neutral($0, paths) })
        default: value
        }
    }
}
