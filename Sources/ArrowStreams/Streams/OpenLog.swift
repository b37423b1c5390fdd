// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// A log that streams read, and what they have passed over so far.
final class OpenLog: @unchecked Sendable {
    let file: LogFile
    private let lock = Lock()
    /// Damage of bodies that streams have passed over, by the chunk's offset.
    private var skippedChunks: [UInt64: Damage] = [:]
    private var isPassedOver = false

    init(_ file: LogFile) { self.file = file }

    /// Counts a chunk that a stream passed over.
    func skip(_ chunk: Chunk, _ error: LogError) {
        let damage = error.damage(of: chunk)
        lock.locked { skippedChunks[chunk.offset] = damage }
    }

    /// Counts chunks that a cursor passed over.
    func skip(_ damage: [Damage]) {
        lock.locked { for part in damage { skippedChunks[part.offset] = part } }
    }

    /// Damage of bodies that streams have passed over, in the order of the file.
    var skipped: [Damage] {
        lock.locked { skippedChunks.values.sorted { $0.offset < $1.offset } }
    }

    /// Notes that a stream has ended without what the log lacks beside those chunks.
    func passOverRest() { lock.locked { isPassedOver = true } }

    /// Whether a stream has passed over what the log lacks beside damaged bodies.
    var hasPassedOverRest: Bool { lock.locked { isPassedOver } }

    /// The error with which a stream of this log ends after its last row; nil for a log that lacks nothing.
    ///
    /// A log that is being written is read as it was when it was opened, and that is no error.
    var incompleteness: LogError? {
        if let damage = file.structuralDamage.first {
            return LogError(file: damage.file, offset: damage.offset, kind: .damaged(damage.what))
        }
        guard file.lostRecords > 0 else { return nil }
        return LogError(
            file: file.path, offset: file.fileSize,
            kind: .foreign("the recorder could not write \(file.lostRecords) records"))
    }
}

/// Reports once, at the end of a stream, that its log is incomplete, or counts it.
struct EndReport {
    private let log: OpenLog
    private let skipsDamage: Bool
    private var isReported = false

    /// - Parameter skipsDamage: whether the consumer counts what is missing instead.
    init(_ log: OpenLog, skipsDamage: Bool) {
        self.log = log
        self.skipsDamage = skipsDamage
    }

    mutating func check() throws(LogError) {
        guard !isReported, let error = log.incompleteness else { return }
        isReported = true
        guard skipsDamage else { throw error }
        log.passOverRest()
    }
}
