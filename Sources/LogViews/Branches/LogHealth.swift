// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// Collects the damage of the logs that a command reads.
///
/// Each damaged part is reported when it is found, up to ``lineLimit`` of them; ``finish()`` throws what they amount to,
/// after everything that can be read has been shown. Records that the recorder left out on purpose (mode digest) are
/// counted and are no damage.
///
///     var health = LogHealth { print($0.text) }
///     let log = try health.open("run1")
///     health.add(events.skipped)
///     try health.finish()
public struct LogHealth {
    /// Damaged parts so far.
    public private(set) var damageCount = 0
    /// Records that were left out by the recorder.
    public private(set) var elidedRecords: UInt64 = 0

    /// Receives notices as things are found.
    let report: NoticeHandler

    /// The number of damaged parts that are reported one by one; further ones are only counted.
    public static let lineLimit = 20

    /// Makes a health without damage.
    ///
    /// - Parameter report: Receives a notice for each thing that is found.
    public init(report: @escaping NoticeHandler) { self.report = report }

    /// Opens a log, or the log in a run directory, and reports its damage as a whole.
    ///
    /// Throws a `LogError` if the file cannot be read as a log.
    public mutating func open(_ path: String) throws -> LogFile {
        let log = try LogFile.open(path: path)
        report(wholeOf: log)
        return log
    }

    /// Opens an input of any format with the needed content, and reports its damage as a whole.
    ///
    /// Throws a `LogError` if the input cannot be read or lacks the content.
    mutating func open(_ path: String, needs needed: LogContent) throws -> LogSource {
        let source = try LogSource(path: path, needs: needed)
        if let log = source.log { report(wholeOf: log) } else { add(source.damage) }
        return source
    }

    private mutating func report(wholeOf log: LogFile) {
        switch log.completeness {
        case .closed, .unclosed(openFileFound: false):
            break
        case .beingWritten:
            report(.note("\(log.path): is being written; the records committed so far are shown"))
        case .unclosed(openFileFound: true):
            report(.note("\(log.path): was not closed (its recorder was killed); the committed records are shown"))
        }
        if log.lostRecords > 0 {
            report(.warning("\(log.path): its recorder could not write \(log.lostRecords) records"))
        }
        add(log.structuralDamage)
    }

    /// Adds parts that could not be read.
    public mutating func add(_ damage: [Damage]) {
        for part in damage {
            if part.what == .elided {
                elidedRecords &+= part.lostRecords ?? 0
                continue
            }
            damageCount += 1
            if damageCount <= LogHealth.lineLimit { report(.error(part.description)) }
        }
    }

    /// Reports the damage that was only counted. Throws ``DamagedInput`` if any part was damaged.
    public func finish() throws(DamagedInput) {
        if elidedRecords > 0 { report(.note("\(elidedRecords) branches were left out by the recorder (mode digest)")) }
        guard damageCount > 0 else { return }
        if damageCount > LogHealth.lineLimit {
            report(.error("… and \(damageCount - LogHealth.lineLimit) more damaged parts"))
        }
        throw DamagedInput(partCount: damageCount)
    }
}

/// Parts of the input were damaged and skipped: the output is incomplete.
public struct DamagedInput: Error, CustomStringConvertible, Hashable {
    /// The number of parts that were skipped.
    public var partCount: Int

    /// Makes the error.
    public init(partCount: Int) { self.partCount = partCount }

    /// One sentence.
    public var description: String {
        "the log is damaged: \(partCount) part\(partCount == 1 ? "" : "s") skipped"
    }
}
