// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A position on the clock of a vCPU, which may depend on where the log begins and ends.
public enum ClockBound: Hashable, Sendable {
    /// A branch counter.
    case at(UInt64)
    /// A position after the log's beginning, in thousandths of the log's length.
    case thousandths(UInt64)
    /// A number of clock ticks before the log's end.
    case beforeEnd(UInt64)

    /// The branch counter in a log with these clocks.
    public func clock(in clocks: Range<UInt64>) -> UInt64 {
        switch self {
        case .at(let clock): return clock
        case .thousandths(let share):
            let length = clocks.upperBound - clocks.lowerBound
            let (whole, rest) = length.quotientAndRemainder(dividingBy: 1000)
            return clocks.lowerBound + whole * share + rest * share / 1000
        case .beforeEnd(let count):
            return max(clocks.lowerBound, clocks.upperBound - min(count, clocks.upperBound))
        }
    }
}

/// A part of a log, from one bound up to but not including another.
public struct ClockBounds: Hashable, Sendable {
    /// The first clock; `nil`: the log's beginning.
    public var from: ClockBound?
    /// The clock after the last one; `nil`: the log's end.
    public var to: ClockBound?

    /// Makes bounds.
    public init(from: ClockBound? = nil, to: ClockBound? = nil) {
        self.from = from
        self.to = to
    }

    /// The clocks of the part, in a log with the clocks `clocks`; `to` is `.max` if there is no end.
    public func resolved(in clocks: Range<UInt64>) -> (from: UInt64, to: UInt64) {
        (from?.clock(in: clocks) ?? 0, to?.clock(in: clocks) ?? .max)
    }
}

extension RawBTSFile {
    /// The clocks of the records; empty if there are none.
    var clocks: Range<UInt64> {
        guard count > 0 else { return 0..<0 }
        let end = lastClock == .max ? lastClock : lastClock + 1
        return (end > count ? end - count : 0)..<end
    }
}

extension LogFile {
    /// The clocks of a vCPU's records in some streams, from the first up to but not including the one after the last; empty
    /// if it has none.
    public func clocks(
        vcpu: UInt16, of streams: [LogStream] = [.branch, .event, .access]
    ) -> Range<UInt64> {
        let chunks = streams.flatMap { self.chunks($0, vcpu: vcpu) }
        guard let first = chunks.map(\.clockFirst).min(), let last = chunks.map(\.clockLast).max(), first <= last else {
            return 0..<0
        }
        return first..<(last == .max ? last : last + 1)
    }

    /// The clocks of all vCPUs together.
    public var clocks: Range<UInt64> {
        let all = vcpus.map { clocks(vcpu: $0) }.filter { !$0.isEmpty }
        guard let first = all.map(\.lowerBound).min(), let last = all.map(\.upperBound).max() else { return 0..<0 }
        return first..<last
    }
}
