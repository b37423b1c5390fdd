// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
import RunDirectory

/// The result of a recording or a replay: for people (``text``) and for programs (``json()``).
public struct RunSummary: Codable, Sendable, Equatable {
    /// The result of the run.
    public enum Verdict: String, Codable, Sendable {
        /// The recording is complete; the replay ended as its recording did.
        case done
        /// The replay visibly went another way.
        case different
        /// There is no complete recording; the replay was interrupted.
        case trouble
    }

    /// A recording or a replay.
    public var kind: Manifest.RunKind
    /// The result of the run.
    public var verdict: Verdict
    /// The run directory, as the caller named it.
    public var stateDirectory: String
    /// The run's own directory: the run directory, or that of the replay in it.
    public var directory: String
    /// How the run ended.
    public var outcome: RunOutcome
    /// nil where no log was made.
    public var log: RunLogSummary?
    /// Bytes of the engine's input log.
    @StringCoded public var inputLogBytes: UInt64
    /// Why the run or its log is incomplete; nil if both are complete.
    public var trouble: String?
    /// The visible differences of a replay.
    public var differences: [String]
    /// Problems with the files that were written, and differences from the recording that were accepted.
    public var warnings: [String]
    /// Possible next steps.
    public var next: NextStep
}

extension RunSummary {
    /// The value of `schema` in ``json()``.
    public static let schemaName = "tt-analyze run summary"
    /// The version that ``json()`` writes.
    public static let schemaVersion = 2

    /// Why a log is incomplete; nil if it is complete.
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
