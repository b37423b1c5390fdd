// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The threads of a text of `perf script`, each of which becomes a vCPU of the log, in the order of appearance.
struct PerfLanes {
    /// One thread.
    struct Lane {
        /// The program and the thread, as perf prints them.
        var title: String
        /// Branches so far.
        var branches: UInt64 = 0
        /// Whether the next branch does not follow the last one.
        var hasGap = false
    }

    /// The threads; their indexes are the vCPUs' numbers.
    var list: [Lane] = []
    /// Lines of threads that are left out, because a log has 256 vCPUs at most.
    private(set) var leftOut: UInt64 = 0

    private var indexes: [UInt64: Int] = [:]
    private var last: (key: UInt64, index: Int)?

    /// The lane of a thread that is known; nil for others.
    func index(of key: UInt64) -> Int? { indexes[key] }

    /// The lane of a line's thread, which is added if it is new; nil if there are too many.
    @inline(__always)
    mutating func index(of line: PerfLine, _ text: UnsafeRawBufferPointer) -> Int? {
        if let last, last.key == line.lane { return last.index }
        return find(line, text)
    }

    private mutating func find(_ line: PerfLine, _ text: UnsafeRawBufferPointer) -> Int? {
        if let known = indexes[line.lane] {
            last = (line.lane, known)
            return known
        }
        guard list.count < Int(TTLOG_VCPU_MAX) else {
            leftOut &+= 1
            return nil
        }
        let index = list.count
        let title = String(decoding: text[line.title].drop { $0 == 0x20 }.prefix(256), as: UTF8.self)
        list.append(Lane(title: title))
        indexes[line.lane] = index
        last = (line.lane, index)
        return index
    }
}
