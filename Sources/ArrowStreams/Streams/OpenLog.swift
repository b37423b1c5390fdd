// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// A log that streams read, and what they have passed over so far.
final class OpenLog: @unchecked Sendable {
    let file: LogFile
    private let lock = Lock()
    /// Damage of bodies that streams have passed over, by the chunk's offset.
    private var skippedChunks: [UInt64: Damage] = [:]

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

    /// The error with which a stream of this log ends after its last row; nil for a log that lacks nothing.
    ///
    /// A log that is being written is read as it was when it was opened, and that is no error.
    var incompleteness: LogError? {
        if let damage = file.structuralDamage.first {
            return LogError(file: damage.file, offset: damage.offset, kind: .damaged(damage.what))
        }
        guard file.lostRecords > 0 else { return nil }
        return LogError(
            file: file.path, kind: .foreign("the recorder could not write \(file.lostRecords) records"))
    }
}

/// Reports once, at the end of a stream, that its log is incomplete.
struct EndReport {
    private let error: LogError?
    private var isReported = false

    /// - Parameter skipsDamage: whether the consumer counts what is missing instead.
    init(_ log: OpenLog, skipsDamage: Bool) { error = skipsDamage ? nil : log.incompleteness }

    mutating func check() throws(LogError) {
        guard let error, !isReported else { return }
        isReported = true
        throw error
    }
}
