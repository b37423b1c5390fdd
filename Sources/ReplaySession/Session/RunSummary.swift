// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
import RunDirectory

/// The result of a recording or a replay: for people (``text``) and for programs (``json()``).
public struct RunSummary: Codable, Sendable, Equatable {
    /// What the run came to.
    public enum Verdict: String, Codable, Sendable {
        /// The recording is whole; the replay ended as its recording did.
        case done
        /// The replay visibly went another way.
        case different
        /// There is no whole recording; the replay was interrupted.
        case trouble
    }

    /// A recording or a replay.
    public var kind: Manifest.RunKind
    /// What the run came to.
    public var verdict: Verdict
    /// The state directory, as the caller named it.
    public var stateDirectory: String
    /// The run's own directory: the state directory, or that of the replay.
    public var directory: String
    /// How the run ended.
    public var outcome: RunOutcome
    /// nil where no log was made.
    public var log: RunLogSummary?
    /// Bytes of the engine's input log.
    @StringCoded public var inputLogBytes: UInt64
    /// Why the run or its log is not whole; nil when it is.
    public var trouble: String?
    /// What visibly went otherwise in a replay.
    public var differences: [String]
    /// What is wrong with what was written, and what was accepted although it is not as recorded.
    public var warnings: [String]
    /// What can be done next.
    public var next: NextStep
}

extension RunSummary {
    /// The value of `schema` in ``json()``.
    public static let schemaName = "tt-analyze run summary"
    /// The version that ``json()`` writes.
    public static let schemaVersion = 2

    /// What keeps a log from being whole; nil when nothing does.
    static func trouble(_ log: RunLogSummary?) -> String? {
        guard let log else { return "there is no log" }
        return log.lost == 0 ? nil : "\(log.lost) records could not be written"
    }

    /// One JSON document that begins with its schema and version, without a newline at its end. Throws `EncodingError`.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let members = String(decoding: try encoder.encode(self), as: UTF8.self).dropFirst()
        return "{\n  \"schema\" : \"\(RunSummary.schemaName)\",\n  \"version\" : \(RunSummary.schemaVersion),\(members)"
    }
}
