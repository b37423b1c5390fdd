// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// How often the instruction at each address was run: constant between a few addresses.
struct ExecutionCounts {
    /// Ascending; from each on the count with the same index holds.
    private var starts: [UInt64] = []
    private var counts: [UInt64] = []
    /// Where the last question was answered.
    private var cursor = 0

    /// - Parameter stretches: from the first address to the last one, both included, so often.
    init(_ stretches: [(low: UInt64, last: UInt64, count: UInt64)]) {
        var steps: [(address: UInt64, change: UInt64)] = []
        steps.reserveCapacity(stretches.count * 2)
        for stretch in stretches where stretch.low <= stretch.last {
            steps.append((stretch.low, stretch.count))
            if stretch.last < .max { steps.append((stretch.last + 1, 0 &- stretch.count)) }
        }
        steps.sort { $0.address < $1.address }
        var count: UInt64 = 0
        for step in steps {
            count &+= step.change
            if starts.last == step.address {
                counts[counts.count - 1] = count
            } else {
                starts.append(step.address)
                counts.append(count)
            }
        }
    }

    /// How often the instruction at an address was run.
    func count(at address: UInt64) -> UInt64 {
        let next = starts.partitioningIndex { $0 > address }
        return next > 0 ? counts[next - 1] : 0
    }

    /// The count of the instruction that was run most often, of those at `low ..< high`. For ranges in ascending order.
    mutating func maximum(_ low: UInt64, _ high: UInt64) -> UInt64 {
        if cursor > 0, starts[cursor - 1] > low { cursor = 0 }
        // All before the cursor begin at or before `low`.
        while cursor < starts.count, starts[cursor] <= low { cursor += 1 }
        var found = cursor > 0 ? counts[cursor - 1] : 0
        var next = cursor
        while next < starts.count, starts[next] < high {
            found = max(found, counts[next])
            next += 1
        }
        return found
    }
}
