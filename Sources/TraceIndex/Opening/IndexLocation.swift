// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The place of a log's index: beside the log or, if that directory cannot be written, in the user's cache directory.
enum IndexLocation {
    static let suffix = ".ttidx"

    static func beside(_ log: String) -> String { log + suffix }

    /// The file in the cache directory; nil if there is no such directory.
    ///
    /// The name has the log's key and not its path: a log that moves keeps its index.
    static func cached(key: String) -> String? {
        cacheDirectory.map { "\($0)/\(key)\(suffix)" }
    }

    /// The user's cache directory, by the XDG Base Directory Specification.
    private static var cacheDirectory: String? {
        func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        if let path = environment("XDG_CACHE_HOME"), path.hasPrefix("/") { return "\(path)/tt-analyze/indexes" }
        return environment("HOME").flatMap { $0.hasPrefix("/") ? "\($0)/.cache/tt-analyze/indexes" : nil }
    }

    /// The directory of a file.
    static func directory(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The name of a file in its directory.
    static func name(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    }

    /// Whether new files can be made in the directory of a path.
    static func isWritable(_ path: String) -> Bool { access(directory(path), W_OK | X_OK) == 0 }

    /// Makes the directory of a path, for the user alone. Returns false where that is not possible.
    static func makeDirectory(of path: String) -> Bool {
        var made = ""
        for part in directory(path).split(separator: "/") {
            made += "/\(part)"
            if mkdir(made, 0o700) != 0, errno != EEXIST, errno != EROFS, errno != EACCES { return false }
        }
        return isWritable(path)
    }
}
