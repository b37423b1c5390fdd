// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Finds the clocks that two logs with gaps both cover.
enum Coverage {
    /// The common stretches in the original's clock, sorted. nil if neither log has a gap, or if a clock steps back
    /// because the guest was rewound; then all clocks count as covered.
    static func common(
        _ original: LogFile, _ replay: LogFile, vcpu: UInt16, skews: [UInt32: Skew]
    ) -> [Range<UInt64>]? {
        let a = epochs(original, vcpu: vcpu)
        let b = epochs(replay, vcpu: vcpu)
        guard a.count > 1 || b.count > 1 else { return nil }
        guard let x = stretches(a, [:]), let y = stretches(b, skews) else { return nil }
        var common: [Range<UInt64>] = []
        var (i, j) = (0, 0)
        while i < x.count, j < y.count {
            let low = max(x[i].lowerBound, y[j].lowerBound)
            let high = min(x[i].upperBound, y[j].upperBound)
            if low < high { common.append(low..<high) }
            if x[i].upperBound < y[j].upperBound { i += 1 } else { j += 1 }
        }
        return common
    }

    /// The first and last clock of each epoch's records, over all streams.
    private static func epochs(_ log: LogFile, vcpu: UInt16) -> [(epoch: UInt32, first: UInt64, last: UInt64)] {
        var found: [UInt32: (first: UInt64, last: UInt64)] = [:]
        for stream in [LogStream.branch, .event, .access] {
            for chunk in log.chunks(stream, vcpu: vcpu) {
                let known = found[chunk.epoch] ?? (chunk.clockFirst, chunk.clockLast)
                found[chunk.epoch] = (min(known.first, chunk.clockFirst), max(known.last, chunk.clockLast))
            }
        }
        return found.map { ($0.key, $0.value.first, $0.value.last) }.sorted { $0.epoch < $1.epoch }
    }

    /// The epochs as stretches in the original's clock. The first stretch begins at 0, and the last has no end. nil if
    /// the stretches overlap.
    private static func stretches(
        _ epochs: [(epoch: UInt32, first: UInt64, last: UInt64)], _ skews: [UInt32: Skew]
    ) -> [Range<UInt64>]? {
        var result: [Range<UInt64>] = []
        for (index, epoch) in epochs.enumerated() {
            let skew = skews[epoch.epoch]?.clock ?? 0
            let low = index == 0 ? 0 : BranchComparison.shift(epoch.first, by: skew)
            let last = BranchComparison.shift(epoch.last, by: skew)
            let high = index == epochs.count - 1 || last == .max ? .max : last + 1
            guard low < high, result.last.map({ $0.upperBound <= low }) ?? true else { return nil }
            result.append(low..<high)
        }
        return result
    }
}
