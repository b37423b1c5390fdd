// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// An opened input of any format that this library reads: what it is, and what it can give.
///
///     let source = try LogSource(path: path, needs: .branches)
///     print(source.format.name, source.vcpus, source.hasLabels)
///     _ = source.forEachBranchBatch(vcpu: 0) { batch, range in …; return true }
///
/// Formats of events are imported once, on opening, into a temporary log without a name; ``log`` reads them as if a
/// recorder had written it. Raw branch records stay where they are.
public struct LogSource: Sendable {
    /// What the input is.
    public let format: InputFormat
    private let reader: Reader

    private enum Reader: Sendable {
        case log(LogFile)
        case rawBTS(RawBTSFile)
    }

    /// Opens a log, a run directory or a file of a foreign format; its content decides which.
    ///
    /// A log of our own format passes whatever is needed: its header's features say what it holds.
    ///
    /// - Parameter needed: what the caller will read.
    /// - Throws: ``LogError``: the input cannot be read, has no known format, or lacks what is needed
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
        case .qemuReplay: reader = .log(try EventImport.log(of: QEMUReplayImporter(path: path)))
        case .rawBTS, .rawBTSExtended: reader = .rawBTS(try RawBTSFile(path: path))
        }
    }

    // MARK: - What it is

    /// The path of the file that is read.
    public var path: String {
        switch reader {
        case .log(let log): log.path
        case .rawBTS(let raw): raw.path
        }
    }

    /// The log: the file itself, or what was imported from it. Nil for formats without events.
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

    /// The guest's machine; nil where the format does not say it.
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

    /// Whether branches have labels; without, all are ``BranchClass/unknown``.
    public var hasLabels: Bool {
        switch reader {
        case .log(let log): log.header.features.contains(.labels)
        case .rawBTS: false
        }
    }

    /// What is wrong with the input as a whole.
    public var damage: [Damage] {
        switch reader {
        case .log(let log): log.structuralDamage
        case .rawBTS(let raw): raw.damage.map { [$0] } ?? []
        }
    }

    // MARK: - What it gives

    /// How many branches of a vCPU are in the chunks or records that a range of clocks touches: a bound for progress.
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
    ///   - label: returns the label of a branch by its addresses, `from` and `to`; used where ``hasLabels`` is false
    ///     because the format has none.
    ///   - body: receives a batch and the indexes of the range's branches in it; returns whether to go on.
    /// - Returns: what could not be read.
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
}
