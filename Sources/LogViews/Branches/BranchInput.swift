// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat

/// An opened file whose branches can be shown.
public enum BranchInput {
    /// A log.
    case log(LogFile)
    /// Raw BTS records.
    case raw(RawBTSFile)

    /// Opens a log, the log in a state directory, or a file of raw records; the content tells which of them it is.
    package init(path: String, health: inout LogHealth) throws {
        guard try RawBTSFile.isLog(path) else {
            let raw = try RawBTSFile(path: path)
            let reason = raw.form == .extended ? "it begins with a record of ones" : "its addresses are plausible"
            health.report(.note("\(path): taken for \(raw.count) raw BTS records, \(raw.form.rawValue): \(reason)"))
            health.add(raw.damage.map { [$0] } ?? [])
            self = .raw(raw)
            return
        }
        let log = try health.open(path)
        guard log.header.features.contains(.branches) else {
            throw ViewError.noBranches(path: log.path, mode: "\(log.header.mode)")
        }
        self = .log(log)
    }

    /// The description of this input that views receive.
    public func view(isOneOfSeveral: Bool) -> ViewInput {
        switch self {
        case .log(let log): ViewInput(log, isOneOfSeveral: isOneOfSeveral)
        case .raw(let raw): ViewInput(raw, isOneOfSeveral: isOneOfSeveral)
        }
    }

    /// The number of branches of a vCPU in the chunks that a range touches.
    func branchCount(vcpu: UInt16, from: UInt64, to: UInt64) -> UInt64 {
        switch self {
        case .log(let log):
            log.chunks(.branch, vcpu: vcpu).reduce(0) { sum, chunk in
                chunk.clockLast >= from && chunk.clockFirst < to ? sum &+ UInt64(chunk.count) : sum
            }
        case .raw(let raw):
            raw.form == .extended ? raw.count : min(raw.count, max(from, to)) - min(raw.count, from)
        }
    }

    /// Calls `body` with the branches of a vCPU with clocks in `from ..< to` (no end when `to` is `.max`), batch by batch,
    /// until it returns false. Returns what could not be read.
    ///
    /// - Parameter labeler: Finds the labels of raw records.
    func forEachBatch(
        vcpu: UInt16, from: UInt64, to: UInt64, labeler: BranchLabeler?,
        _ body: (borrowing BranchBatch, Range<Int>) -> Bool
    ) -> [Damage] {
        switch self {
        case .log(let log):
            var branches = log.branches(vcpu: vcpu, from: from, to: to)
            var goesOn = true
            while goesOn, branches.nextBatch({ goesOn = body($0, $1) }) {}
            return branches.skipped
        case .raw(let raw):
            var branches = raw.branches(from: from, to: to, label: labeler?.label)
            var goesOn = true
            while goesOn, branches.nextBatch({ goesOn = body($0, $1) }) {}
            return branches.skipped
        }
    }
}
