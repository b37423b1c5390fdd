// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Decides which vCPU diverged first.
///
/// Order tickets number the events of all vCPUs of a log in the order of writing. A divergence is between two events of
/// its vCPU, hence between two tickets. One vCPU diverged before another if its interval of tickets ends before the
/// other's begins, in both logs.
enum VCPUOrder {
    /// The tickets between which a divergence is in one log.
    private struct Interval {
        /// The ticket of the last event before it; 0 without one.
        var low: UInt64
        /// The ticket of the first event at or after it; the largest number without one.
        var high: UInt64
    }

    static func decide(_ alignment: inout AlignmentResult, _ original: LogFile, _ replay: LogFile) throws(LogError) {
        let parted = alignment.vcpus.compactMap(\.divergence)
        guard let only = parted.first else {
            alignment.verdict = .identical
            return
        }
        (alignment.verdict, alignment.vcpu) = (only.verdict, only.vcpu)
        guard parted.count > 1 else { return }
        var intervals: [[Interval]] = []
        for divergence in parted {
            intervals.append([
                try interval(original, divergence.vcpu, divergence.original.clock),
                try interval(replay, divergence.vcpu, divergence.replay.clock),
            ])
        }
        for index in parted.indices {
            let isFirst = parted.indices.allSatisfy { other in
                other == index || (0..<2).allSatisfy { intervals[index][$0].high <= intervals[other][$0].low }
            }
            guard isFirst else { continue }
            (alignment.verdict, alignment.vcpu) = (parted[index].verdict, parted[index].vcpu)
            return
        }
        let list = parted.map { "\($0.vcpu)" }.joined(separator: ", ")
        alignment.caveats.append(
            Caveat(.noOrder, "vCPUs \(list) diverge; the order tickets do not show which of them diverged first"))
    }

    private static func interval(_ log: LogFile, _ vcpu: UInt16, _ clock: UInt64) throws(LogError) -> Interval {
        var interval = Interval(low: 0, high: .max)
        var batch = EventBatch()
        for stream in [LogStream.event, .access] {
            let chunks = log.chunks(stream, vcpu: vcpu)
            guard let index = chunks.firstIndex(where: { $0.clockLast >= clock }) ?? chunks.indices.last else {
                continue
            }
            for chunk in chunks[max(chunks.startIndex, index - 1)...index] {
                do throws(LogError) {
                    try log.decode(chunk, into: &batch)
                } catch {
                    if error.isTrouble { throw error }
                    continue
                }
                for place in 0..<batch.count {
                    let ticket = batch.ticket(place)
                    if batch.clock(place) < clock {
                        interval.low = max(interval.low, ticket)
                    } else {
                        interval.high = min(interval.high, ticket)
                    }
                }
            }
        }
        return interval
    }
}
