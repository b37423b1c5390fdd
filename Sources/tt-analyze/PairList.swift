// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import RunDirectory

/// The pairs of runs that `diverge --pairs` compares.
struct PairList {
    /// An original and a replay, as the user names them.
    struct Pair: Sendable, Hashable {
        var original: String
        var replay: String
    }

    /// The pairs, in the list's order.
    let pairs: [Pair]

    /// The largest list, in bytes.
    private static let limit = 64 << 20

    /// Reads a list, or finds the replays of all run directories in a directory.
    ///
    /// A line of a list has an original and a replay, separated by a tab or, without a tab, by blanks. Empty lines and
    /// lines that begin with `#` are passed over. Relative paths are relative to the working directory.
    init(_ path: String) throws {
        if let directory = try? OpenDirectory(path) {
            pairs = try PairList.replays(directory, path)
        } else {
            let bytes = try PlainFile(path, what: "list of pairs").contents(limit: PairList.limit)
            pairs = try PairList.lines(String(decoding: bytes, as: UTF8.self), path)
        }
        guard !pairs.isEmpty else { throw DivergeError("\(path.onOneLine): no pairs of runs") }
    }

    private static func lines(_ text: String, _ path: String) throws -> [Pair] {
        var pairs: [Pair] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            let words = line.contains("\t") ? line.split(separator: "\t") : line.split(separator: " ")
            guard words.count == 2 else {
                throw DivergeError("\(path.onOneLine), line \(number + 1): expected an original and a replay")
            }
            pairs.append(Pair(original: String(words[0]), replay: String(words[1])))
        }
        return pairs
    }

    private static func replays(_ directory: OpenDirectory, _ path: String) throws -> [Pair] {
        var pairs: [Pair] = []
        for name in try directory.names().sorted() where directory.kind(of: name) == .directory {
            let run = "\(path)/\(name)"
            guard let replays = try? directory.directory(name).directory("replays") else { continue }
            for replay in try replays.names().sorted() where replays.kind(of: replay) == .directory {
                pairs.append(Pair(original: run, replay: "\(run)/replays/\(replay)"))
            }
        }
        return pairs
    }
}
