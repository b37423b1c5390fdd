// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// From where to where one log knows the run of one vCPU.
struct LogExtent: Sendable {
    /// The clock at which the log begins.
    var start: UInt64
    /// The clock behind the last branch; without branches, that of the last event. Records of the run stand before it,
    /// events also at it.
    var naturalEnd: UInt64
    /// The first position that is not compared, if the log names one.
    var comparableEnd: (clock: UInt64, icount: UInt64?, reason: String)?
    /// The log holds records of the vCPU.
    var hasRecords: Bool

    init(_ log: LogFile, vcpu: UInt16) {
        let branches = log.chunks(.branch, vcpu: vcpu)
        let others = [log.chunks(.event, vcpu: vcpu), log.chunks(.access, vcpu: vcpu)]
        let base = vcpu == 0 ? log.header.clockBase : 0
        let all = [branches] + others
        hasRecords = all.contains { !$0.isEmpty }
        let first = all.compactMap { $0.first?.clockFirst }.min()
        // A log of branches begins with its first one; one that has lost its first chunk began where its header says.
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

    /// The clock at which what is compared of the log ends.
    var endClock: UInt64 { comparableEnd?.clock ?? naturalEnd }

    /// Whether the log ends as a run ends: not only because its writer still lives.
    static func isFinal(_ log: LogFile) -> Bool { log.completeness != .beingWritten }
}

/// Where comparing stops.
struct RangeEnd: Sendable, Hashable {
    var clock: UInt64
    /// Events at `clock` count as far as they begin before this many instructions; nil: all of them, the log simply
    /// ends there.
    var icount: UInt64?
    /// The end was named by a comparable end.
    var isNamed: Bool

    init(_ extent: LogExtent) {
        clock = extent.endClock
        icount = extent.comparableEnd?.icount
        isNamed = extent.comparableEnd != nil
    }

    /// Whether this end comes before another one.
    func precedes(_ other: RangeEnd) -> Bool {
        if clock != other.clock { return clock < other.clock }
        guard isNamed, other.isNamed else { return isNamed }
        return (icount ?? 0) < (other.icount ?? 0)
    }

    /// Whether an event stands before the end. `icount` is nil for one without.
    func includes(clock: UInt64, icount: UInt64?) -> Bool {
        if clock != self.clock { return clock < self.clock }
        guard isNamed else { return true }
        guard let icount, let limit = self.icount else { return false }
        return icount < limit
    }
}
