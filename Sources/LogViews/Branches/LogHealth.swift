// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// What is wrong with a log, said on stderr as it is found and counted for the exit status.
///
/// Damage makes the status 2, after everything that can be read has been printed. What a recorder left out on purpose
/// (mode digest) is said too, and is no damage.
public struct LogHealth {
    /// Damaged parts so far.
    public private(set) var damageCount = 0
    /// Records that were left out by the recorder.
    public private(set) var elidedRecords: UInt64 = 0

    /// More than this is only counted.
    private static let lineLimit = 20

    public init() {}

    /// Opens a log, or the log in a state directory, and says what is wrong with it as a whole.
    public mutating func open(_ path: String) throws -> LogFile {
        let log = try LogFile(path: path)
        switch log.completeness {
        case .closed:
            break
        case .beingWritten:
            Diagnostics.note("\(log.path): is being written; this is how far it had come")
        case .unclosed(openFileFound: true):
            Diagnostics.note("\(log.path): was not closed (its recorder was killed); what it had committed is here")
        case .unclosed(openFileFound: false):
            break
        }
        if log.lostRecords > 0 {
            Diagnostics.warning("\(log.path): its recorder could not write \(log.lostRecords) records")
        }
        add(log.structuralDamage)
        return log
    }

    /// Notes parts that could not be read.
    public mutating func add(_ damage: [Damage]) {
        for part in damage {
            if part.what == .elided {
                elidedRecords &+= part.lostRecords ?? 0
                continue
            }
            damageCount += 1
            if damageCount <= LogHealth.lineLimit { Diagnostics.error(part.description) }
        }
    }

    /// Says what was only counted, and throws the exit status 2 when the log is damaged.
    public func finish() throws {
        if elidedRecords > 0 {
            Diagnostics.note("\(elidedRecords) branches were left out by the recorder (mode digest)")
        }
        guard damageCount > 0 else { return }
        if damageCount > LogHealth.lineLimit {
            Diagnostics.error("… and \(damageCount - LogHealth.lineLimit) more damaged parts")
        }
        Diagnostics.error("the log is damaged: \(damageCount) part\(damageCount == 1 ? "" : "s") passed over")
        throw ToolStatus.trouble
    }
}
