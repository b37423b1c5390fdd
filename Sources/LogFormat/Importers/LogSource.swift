// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// An opened input of any format that this library reads.
///
///     let source = try LogSource(path: path, needs: .branches)
///     print(source.format.name, source.vcpus, source.hasLabels)
///     _ = source.forEachBranchBatch(vcpu: 0) { batch, range in …; return true }
///
/// A foreign format is imported once, on opening, into a temporary log without a name; ``log`` reads it as if a recorder
/// had written it. Raw branch records are read from their own file.
public struct LogSource: Sendable {
    /// The input's format.
    public let format: InputFormat
    private let reader: Reader

    private enum Reader: Sendable {
        case log(LogFile)
        case rawBTS(RawBTSFile)
    }

    /// Opens a log, a run directory or a file of a foreign format; its content decides which.
    ///
    /// A log of our own format is always accepted: the features in its header describe its content.
    ///
    /// - Parameter needed: the kinds of records that the caller reads.
    /// - Throws: ``LogError`` if the input cannot be read, has no known format, or lacks records that are needed
    ///   (``LogError/Kind/lacks(format:needed:has:)``).
    public init(path: String, needs needed: LogContent) throws(LogError) {
        let format = try InputFormat.recognize(path: path)
        self.format = format
        guard format.content.isSuperset(of: needed) else {
            throw LogError(
                file: path, kind: .lacks(format: format, needed: needed, has: format.content))
        }
        switch format {
        case .log, .runDirectory: reader = .log(try LogFile(path: path))
        case .rawBTS, .rawBTSExtended: reader = .rawBTS(try RawBTSFile(path: path))
        case .qemuReplay, .perfScript, .csv, .jsonl, .xentt, .xentrace:
            reader = .log(try LogFile(importing: format.importer(InputFile(path: path))))
        }
    }

    // MARK: - The input

    /// The path of the file that is read.
    public var path: String {
        switch reader {
        case .log(let log): log.path
        case .rawBTS(let raw): raw.path
        }
    }

    /// The log: the file itself, or the log that was imported from it. Nil for raw branch records.
    public var log: LogFile? {
        switch reader {
        case .log(let log): log
        case .rawBTS: nil
        }
    }

    /// The raw branch records; nil for other formats.
    public var rawBTS: RawBTSFile? {
        switch reader {
        case .log: nil
        case .rawBTS(let raw): raw
        }
    }

    /// The guest's machine; nil if the format does not contain it.
    public var machine: Machine? {
        log.flatMap { $0.header.machine == .unknown ? nil : $0.header.machine }
    }

    /// The vCPUs that the input has; raw records are of one, number 0.
    public var vcpus: [UInt16] {
        switch reader {
        case .log(let log): log.vcpus
        case .rawBTS: [0]
        }
    }

    /// Whether positions have instruction counts.
    public var hasIcount: Bool {
        switch reader {
        case .log(let log): log.header.features.contains(.icount)
        case .rawBTS: false
        }
    }

    /// Whether branches have labels; without labels, all are ``BranchClass/unknown``.
    public var hasLabels: Bool {
        switch reader {
        case .log(let log): log.header.features.contains(.labels)
        case .rawBTS: false
        }
    }

    /// The damage of the input as a whole.
    public var damage: [Damage] {
        switch reader {
        case .log(let log): log.structuralDamage
        case .rawBTS(let raw): raw.damage.map { [$0] } ?? []
        }
    }

    // MARK: - Its branches

    /// The number of branches of a vCPU in the chunks or records that overlap a range of clocks: an upper bound for
    /// progress.
    public func branchCount(vcpu: UInt16, from: UInt64 = 0, to: UInt64 = .max) -> UInt64 {
        switch reader {
        case .log(let log):
            log.chunks(.branch, vcpu: vcpu).reduce(0) { sum, chunk in
                chunk.clockLast >= from && chunk.clockFirst < to ? sum &+ UInt64(chunk.count) : sum
            }
        case .rawBTS(let raw):
            raw.form == .extended ? raw.count : min(raw.count, max(from, to)) - min(raw.count, from)
        }
    }

    /// Calls `body` with the branches of a vCPU with clocks in `from ..< to` (no end when `to` is `.max`), batch by
    /// batch, until it returns false.
    ///
    /// - Parameters:
    ///   - label: returns the label of a branch by its addresses, `from` and `to`; called only if the format has no
    ///     labels (``hasLabels``).
    ///   - body: receives a batch and the indexes of the range's branches in it; returns whether to continue.
    /// - Returns: the damage that was skipped.
    public func forEachBranchBatch(
        vcpu: UInt16, from: UInt64 = 0, to: UInt64 = .max, label: ((UInt64, UInt64) -> BranchLabel)? = nil,
        _ body: (borrowing BranchBatch, Range<Int>) -> Bool
    ) -> [Damage] {
        var goesOn = true
        switch reader {
        case .log(let log):
            var branches = log.branches(vcpu: vcpu, from: from, to: to)
            while goesOn, branches.nextBatch({ goesOn = body($0, $1) }) {}
            return branches.skipped
        case .rawBTS(let raw):
            var branches = raw.branches(from: from, to: to, label: label)
            while goesOn, branches.nextBatch({ goesOn = body($0, $1) }) {}
            return branches.skipped
        }
    }
}

extension LogFile {
    /// Opens the events of a log, a run directory or a foreign format that has events.
    ///
    /// - Throws: ``LogError``, as ``LogSource/init(path:needs:)`` does.
    public static func open(path: String) throws(LogError) -> LogFile {
        let source = try LogSource(path: path, needs: .events)
        guard let log = source.log else {
            throw LogError(
                file: path, kind: .lacks(format: source.format, needed: .events, has: source.format.content))
        }
        return log
    }

    /// Opens a log, a run directory or a file of any foreign format, raw branch records included: those are imported into a
    /// temporary log too.
    ///
    /// - Throws: ``LogError`` if the input cannot be read or has no known format.
    public static func open(anyFormat path: String) throws(LogError) -> LogFile {
        let source = try LogSource(path: path, needs: [])
        if let log = source.log { return log }
        return try LogFile(importing: source.format.importer(InputFile(path: path)))
    }
}
