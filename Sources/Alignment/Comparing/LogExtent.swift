// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The part of one vCPU's run that a log covers.
struct LogExtent: Sendable {
    /// The clock at which the log begins.
    var start: UInt64
    /// The clock after the last branch, or the clock of the last event in a log without branches. Branches come before
    /// it; events can be at it.
    var naturalEnd: UInt64
    /// The first position that is not compared; nil if the log names none.
    var comparableEnd: (clock: UInt64, icount: UInt64?, reason: String)?
    /// Whether the log has records of the vCPU.
    var hasRecords: Bool

    init(_ log: LogFile, vcpu: UInt16) {
        let branches = log.chunks(.branch, vcpu: vcpu)
        let others = [log.chunks(.event, vcpu: vcpu), log.chunks(.access, vcpu: vcpu)]
        let base = vcpu == 0 ? log.header.clockBase : 0
        let all = [branches] + others
        hasRecords = all.contains { !$0.isEmpty }
        let first = all.compactMap { $0.first?.clockFirst }.min()
        // The log begins with its first branch. If its first chunk is lost, the header has the clock of the beginning.
        if let head = branches.first, head.firstOrdinal == 0 {
            start = min(head.clockFirst, first ?? head.clockFirst)
        } else {
            start = min(base, first ?? base)
        }
        var end = start
        for chunk in branches { end = max(end, chunk.clockLast &+ 1) }
        for run in others { for chunk in run { end = max(end, chunk.clockLast) } }
        naturalEnd = end
        comparableEnd = log.comparableEnd(vcpu: vcpu)
    }

    /// The clock at which the comparable part of the log ends.
    var endClock: UInt64 { comparableEnd?.clock ?? naturalEnd }

    /// Whether the end of the log is final: no writer can extend it.
    static func isFinal(_ log: LogFile) -> Bool { log.completeness != .beingWritten }
}

/// The end of a comparison.
struct RangeEnd: Sendable, Hashable {
    var clock: UInt64
    /// Events at `clock` count if they begin before this many instructions. nil: all of them count, because the log
    /// ends there.
    var icount: UInt64?
    /// Whether a comparable end names it.
    var isNamed: Bool

    init(_ extent: LogExtent) {
        clock = extent.endClock
        icount = extent.comparableEnd?.icount
        isNamed = extent.comparableEnd != nil
    }

    /// Whether this end is before another one.
    func precedes(_ other: RangeEnd) -> Bool {
        if clock != other.clock { return clock < other.clock }
        guard isNamed, other.isNamed else { return isNamed }
        return (icount ?? 0) < (other.icount ?? 0)
    }

    /// Whether an event is before the end. `icount` is nil for an event without one.
    func includes(clock: UInt64, icount: UInt64?) -> Bool {
        if clock != self.clock { return clock < self.clock }
        guard isNamed else { return true }
        guard let icount, let limit = self.icount else { return false }
        return icount < limit
    }
}
