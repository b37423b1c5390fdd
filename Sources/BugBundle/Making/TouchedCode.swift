// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The code that a log's branches ran, as addresses of the run.
struct TouchedCode {
    /// The addresses, in any order, with repetitions.
    private(set) var ranges: [Range<UInt64>] = []

    /// A stretch that is longer ran not: branches are missing between its ends.
    private static let stretchLimit: UInt64 = 1 << 16
    /// The longest instruction of x86.
    private static let instructionSize: UInt64 = 15

    private struct Stretch: Hashable {
        var start: UInt64
        var last: UInt64
    }

    /// The code of all branches and events of a log.
    init(_ log: LogFile) {
        for vcpu in log.vcpus {
            addBranches(log, vcpu)
            addEvents(log, vcpu)
        }
    }

    /// Adds the instruction at an address.
    mutating func add(_ address: UInt64) {
        let (end, overflow) = address.addingReportingOverflow(TouchedCode.instructionSize)
        ranges.append(address..<(overflow ? .max : end))
    }

    private mutating func addBranches(_ log: LogFile, _ vcpu: UInt16) {
        var seen: Set<Stretch> = []
        // Most stretches repeat soon: a small table in front of the set.
        var recent = [Stretch](repeating: Stretch(start: 0, last: 0), count: 1 << 14)
        var start: UInt64?
        var nextClock: UInt64 = 0
        var branches = log.branches(vcpu: vcpu, columns: .path)
        while branches.nextBatch({ batch, range in
            if batch.clockFirst &+ UInt64(range.lowerBound) != nextClock { start = nil }
            for index in range {
                let last = batch.from[index]
                let stretch = Stretch(start: start ?? last, last: last)
                let slot = Int(truncatingIfNeeded: (stretch.start ^ (last &* 0x9e37_79b9)) & 0x3fff)
                if recent[slot] != stretch {
                    recent[slot] = stretch
                    seen.insert(stretch)
                }
                start = batch.to[index]
            }
            nextClock = batch.clockFirst &+ UInt64(range.upperBound)
        }) {}
        if let start { add(start) }
        for stretch in seen {
            let (end, overflow) = stretch.last.addingReportingOverflow(TouchedCode.instructionSize)
            if stretch.start <= stretch.last, stretch.last - stretch.start < TouchedCode.stretchLimit, !overflow {
                ranges.append(stretch.start..<end)
            } else {
                add(stretch.start)
                add(stretch.last)
            }
        }
    }

    private mutating func addEvents(_ log: LogFile, _ vcpu: UInt16) {
        var seen: Set<UInt64> = []
        var events = log.events([.event, .access], vcpu: vcpu)
        while let event = events.next() {
            if event.validity.contains(.ip) { seen.insert(event.ip) }
        }
        for address in seen { add(address) }
    }
}
