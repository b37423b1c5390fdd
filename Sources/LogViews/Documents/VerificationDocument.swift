// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import LogFormat

/// The result of checking every byte of a log, as a JSON document.
public struct VerificationDocument: Codable, Sendable {
    /// A damaged part.
    public struct Part: Codable, Sendable {
        /// Path of the file.
        public var file: String
        /// First byte.
        public var offset: String
        /// Number of bytes.
        public var length: String
        /// The damage.
        public var what: String
        /// Records lost, if the number is known.
        public var lostRecords: String?
    }

    /// Name of the document's schema.
    public var schema = "tt-analyze verify"
    /// Version of the schema.
    public var version = 1
    /// Path of the log.
    public var log: String
    /// Whether nothing is wrong.
    public var intact: Bool
    /// Chunks checked.
    public var chunks: Int
    /// Chunks that the recorder left out.
    public var elidedChunks: Int
    /// Records read, by stream.
    public var recordsRead: [String: String]
    /// Records lost.
    public var recordsLost: String
    /// Records of kinds that this version does not know.
    public var unknownKinds: [String: String]
    /// The damaged parts.
    public var damage: [Part]
    /// The check against the code of symbol files, if there was one.
    public var instructions: InstructionCheckDocument?

    /// Describes the result.
    public init(_ log: LogFile, _ result: Verification, _ check: InstructionCheck?, _ matches: [CodeMatch]) {
        instructions = check.map { InstructionCheckDocument($0, matches) }
        self.log = log.path
        intact = result.isIntact
        chunks = result.chunks
        elidedChunks = result.elidedChunks
        recordsRead = Dictionary(uniqueKeysWithValues: result.recordsRead.map { ($0.key.name, String($0.value)) })
        recordsLost = String(result.recordsLost)
        unknownKinds = Dictionary(uniqueKeysWithValues: result.unknownKinds.map { ($0.key.name, String($0.value)) })
        damage = result.damage.map {
            Part(
                file: $0.file, offset: String($0.offset), length: String($0.length), what: $0.what.description,
                lostRecords: $0.lostRecords.map { String($0) })
        }
    }
}
