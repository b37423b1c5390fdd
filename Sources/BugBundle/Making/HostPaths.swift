// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// The directories of the machine that made a run: those of the run's files and of the engine's, and others that the
/// caller knows.
struct HostPaths {
    private let prefixes: [String]

    /// No directories.
    init() { prefixes = [] }

    /// - Parameters:
    ///   - manifest: the manifest of the run.
    ///   - directories: further directories.
    init(_ manifest: Manifest, and directories: [String]) {
        var known = Set(directories)
        for path in manifest.files.map(\.identity.path) + HostPaths.paths(in: manifest.engine.details) {
            if let slash = path.lastIndex(of: "/"), slash != path.startIndex { known.insert(String(path[..<slash])) }
        }
        prefixes = known.filter { $0.utf8.count > 1 }.map { $0 + "/" }.sorted {
            ($1.utf8.count, $0) < ($0.utf8.count, $1)
        }
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
    /// The manifest without the directories of the machine that made the run: files by their names, and the engine's own
    /// settings without these directories.
    func neutral(without paths: HostPaths) -> Manifest {
        var result = self
        for index in result.files.indices { result.files[index].identity.path = result.files[index].identity.name }
        result.engine.details = Manifest.neutral(result.engine.details, paths)
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
