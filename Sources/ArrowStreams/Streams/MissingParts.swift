// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// What the rows of streams lack that passed over damage.
struct MissingParts {
    /// Chunks whose bodies cannot be decoded.
    var chunks = 0
    /// Damaged parts that were found on opening.
    var parts = 0
    /// The size of these parts in the file. What follows the end of a truncated file is not in it.
    var bytes: UInt64 = 0
    /// Records that are known to be lost: those of the chunks, and those between chunks that the headers count.
    var records: UInt64 = 0
    /// Records that the recorder could not write.
    var unwritten: UInt64 = 0
    /// Where the file ends too early: from there on nothing can be read; nil if it does not.
    var truncation: UInt64?
}

extension OpenLog {
    /// What streams that passed over damage have left out so far.
    var missing: MissingParts {
        let bodies = skipped
        var missing = MissingParts(chunks: bodies.count, records: OpenLog.records(bodies))
        guard hasPassedOverRest else { return missing }
        let structure = file.structuralDamage
        missing.parts = structure.count
        missing.bytes = structure.reduce(0) { $0 &+ $1.length }
        missing.records &+= OpenLog.records(structure)
        missing.unwritten = file.lostRecords
        missing.truncation = structure.lazy.filter(\.isTruncation).map(\.offset).min()
        return missing
    }

    private static func records(_ damage: [Damage]) -> UInt64 {
        damage.reduce(0) { $0 &+ ($1.lostRecords ?? 0) }
    }
}

extension Damage {
    /// Whether the file ends before what it should contain.
    fileprivate var isTruncation: Bool {
        switch what {
        case .truncated, .openFileMissing: true
        default: false
        }
    }
}
