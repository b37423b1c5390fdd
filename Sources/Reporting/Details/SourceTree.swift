// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import RunDirectory

/// Source files in the directories that a user names.
///
///     let tree = SourceTree(directories: ["/usr/src/linux"], prefixes: [("/build/linux", "/home/me/linux")])
///     tree.lines(of: "/build/linux/fs/read_write.c")?.lines[475]
///
/// The names of the files come from debug information, so from a stranger. A file outside the directories is never read,
/// whatever `..` and links there are.
public final class SourceTree {
    private let directories: [String]
    private let prefixes: [(old: String, new: String)]
    private var files: [String: (path: String, lines: [Substring])?] = [:]

    /// The largest file that is read, in bytes.
    private static let sizeLimit = 4 << 20
    /// The longest line, in characters; the rest of a line is left out.
    private static let lineLimit = 300
    /// The columns of a tab.
    private static let tab = 8

    /// - Parameters:
    ///   - directories: are searched for each end of a file's name, the longest first.
    ///   - prefixes: a file whose name begins with `old` is looked for in the directory `new` before that.
    public init(directories: [String], prefixes: [(old: String, new: String)] = []) {
        self.directories = directories
        self.prefixes = prefixes
    }

    /// The path and the lines of a source file; nil if it is not found, or is no text.
    public func lines(of file: String) -> (path: String, lines: [Substring])? {
        if let known = files[file] { return known }
        let found = find(file)
        files[file] = .some(found)
        return found
    }

    /// A line for display: tabs as spaces, at most 300 characters.
    static func shown(_ line: Substring) -> String {
        var text = ""
        var column = 0
        for character in line {
            if character == "\r" || character == "\r\n" { continue }
            if column >= lineLimit { return text + "…" }
            if character == "\t" {
                let width = tab - column % tab
                text += String(repeating: " ", count: width)
                column += width
            } else {
                text.append(character)
                column += 1
            }
        }
        return text
    }

    private func find(_ file: String) -> (path: String, lines: [Substring])? {
        for (old, new) in prefixes where file.hasPrefix(old) {
            let rest = SourceTree.components(String(file.dropFirst(old.utf8.count)))
            if let found = SourceTree.read(rest, in: new) { return found }
        }
        let components = SourceTree.components(file)
        for directory in directories {
            for first in components.indices {
                if let found = SourceTree.read(Array(components[first...]), in: directory) { return found }
            }
        }
        return nil
    }

    /// The components of a path, without `.` and resolved `..`.
    private static func components(_ path: String) -> [String] {
        var components: [String] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." {
                _ = components.popLast()
            } else {
                components.append(String(part))
            }
        }
        return components
    }

    private static func read(_ components: [String], in directory: String) -> (path: String, lines: [Substring])? {
        guard !components.isEmpty, let root = resolved(directory),
            let path = resolved("\(directory)/\(components.joined(separator: "/"))"),
            root == "/" || path.hasPrefix(root + "/"),
            let bytes = try? PlainFile(path, what: "source file").contents(limit: sizeLimit), !bytes.contains(0)
        else { return nil }
        return (path, String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false))
    }

    private static func resolved(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
