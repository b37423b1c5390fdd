// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

extension Manifest {
    /// The manifest without the directories of the machine that made the run: files by their names, and in the engine's own
    /// settings no directory that a file of the run, the run itself or a home directory is in.
    ///
    /// - Parameter directories: Further directories to leave out.
    func neutral(without directories: [String]) -> Manifest {
        var result = self
        var known = Set(directories)
        for index in result.files.indices {
            let path = result.files[index].identity.path
            if let slash = path.lastIndex(of: "/"), slash != path.startIndex { known.insert(String(path[..<slash])) }
            result.files[index].identity.path = result.files[index].identity.name
        }
        let prefixes = known.filter { $0.utf8.count > 1 }.map { $0 + "/" }.sorted {
            ($1.utf8.count, $0) < ($0.utf8.count, $1)
        }
        result.engine.details = Manifest.neutral(result.engine.details, prefixes)
        return result
    }

    private static func neutral(_ value: JSONValue, _ prefixes: [String]) -> JSONValue {
        switch value {
        case .string(let text): .string(prefixes.reduce(text) { remove($1, from: $0) })
        case .array(let values): .array(values.map { neutral($0, prefixes) })
        case .object(let members): .object(members.mapValues { neutral($0, prefixes) })
        default: value
        }
    }

    private static func remove(_ prefix: String, from text: String) -> String {
        guard text.contains(prefix) else { return text }
        return text.split(separator: prefix, omittingEmptySubsequences: false).joined()
    }
}
