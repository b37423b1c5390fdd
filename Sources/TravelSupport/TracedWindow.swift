// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import FoundationEssentials
import LogFormat
import ReplaySession

/// A window of a run that was logged in full in a replay, and whether it is the recorded run's.
public struct TracedWindow: Encodable {
    /// The log.
    public var log: String
    /// Transitions before the window; nil where the run has no log.
    public var from: String?
    /// Transitions before its end.
    public var to: String?
    /// Instructions before the window.
    public var fromICount: String
    /// Instructions before its end.
    public var toICount: String
    /// Branches in the log.
    public var branches: String
    /// Events in the log.
    public var events: String
    /// Accesses in the log.
    public var accesses: String
    /// How it compares with the run's own log: the verdict's name; nil without one.
    public var verdict: String?
    /// Chunks whose digests are the same in the run's own log.
    public var equalChunks: Int?
    /// What limits the comparison.
    public var caveats: [String] = []

    private enum CodingKeys: String, CodingKey {
        case log, from, to, fromICount, toICount, branches, events, accesses, verdict, equalChunks, caveats
    }

    /// Compares a new log with the run's own.
    init(_ window: TraceWindow, _ path: String, run places: RunPlaces) throws {
        let traced = try LogFile(path: path)
        log = path
        from = window.from.brctr.map(String.init)
        to = window.to.brctr.map(String.init)
        fromICount = String(window.from.icount)
        toICount = String(window.to.icount)
        func count(_ stream: LogStream) -> String {
            String(traced.chunks(stream, vcpu: 0).reduce(0) { $0 + $1.count })
        }
        (branches, events, accesses) = (count(.branch), count(.event), count(.access))
        guard places.isLogged else { return }
        var options = AlignmentOptions()
        (options.contextCount, options.inputCount, options.stackReach) = (0, 0, 0)
        let result = try align(places.log, traced, options: options)
        verdict = result.verdict.name
        equalChunks = Int(clamping: result.statistics.chunksByDigest)
        if result.verdict != .identical { caveats = result.caveats.map(\.text) }
    }

    /// Whether the window is another run's than the log's.
    public var differs: Bool { verdict.map { $0 != Verdict.identical.name } ?? false }

    /// One JSON document that begins with its schema and version, without a newline at its end.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let members = String(decoding: try encoder.encode(self), as: UTF8.self).dropFirst()
        return "{\n  \"schema\" : \"tt-analyze trace\",\n  \"version\" : 1,\(members)"
    }

    /// Lines for people.
    public var text: String {
        let positions = from.map { "brctr \($0) to \(to ?? "?"), " } ?? ""
        var lines = [
            "traced \(positions)icount \(fromICount) to \(toICount)",
            "\(branches) branches, \(events) events, \(accesses) accesses: \(log.onOneLine)",
        ]
        if let verdict {
            lines.append(
                differs
                    ? "differs from the run's own log: \(verdict)"
                    : "the same as the run's own log (\(equalChunks ?? 0) chunks by their digests)")
        }
        lines += caveats.map(\.onOneLine)
        return lines.joined(separator: "\n")
    }
}
