// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting

/// Writes branches as samples of a branch recorder: an address, then the last branches, the newest first.
///
/// A reader counts each branch, and each straight run between two branches of a sample. So each sample begins with the
/// target of the last branch of the one before, as an entry from outside, and no run is lost.
struct SampleWriter: ~Copyable {
    private let sink: any TextSink
    private var text = TextBuffer()
    /// The branches of the sample, the oldest first; an address outside the program is 0.
    private var entries: [(from: UInt64, to: UInt64)] = []
    /// Branches of the program so far.
    private(set) var branches: UInt64 = 0
    /// Samples so far.
    private(set) var samples: UInt64 = 0

    private static let depth = 32

    init(to sink: any TextSink) { self.sink = sink }

    mutating func add(_ step: ProgramTraces.Step) {
        switch step {
        case .branch(let from, let to):
            append(from, to)
            branches &+= 1
        case .leave(let from, _):
            append(from, 0)
            branches &+= 1
        case .enter(let to, _): append(0, to)
        case .end(let place):
            // No branch, but the run up to there counts.
            entries.append((place, 0))
            write()
            entries.removeAll(keepingCapacity: true)
        }
    }

    private mutating func append(_ from: UInt64, _ to: UInt64) {
        entries.append((from, to))
        guard entries.count == SampleWriter.depth else { return }
        write()
        entries.removeAll(keepingCapacity: true)
        if to != 0 { entries.append((0, to)) }
    }

    /// Writes the branches that are left.
    mutating func finish() {
        if entries.count > 1 || entries.first.map({ $0.from != 0 }) == true { write() }
        entries.removeAll(keepingCapacity: true)
        text.write(to: sink)
    }

    private mutating func write() {
        guard let last = entries.last else { return }
        samples &+= 1
        text.append(0x20)
        text.appendHexadecimal(last.to == 0 ? last.from : last.to, digits: 1)
        text.append(0x0a)
        for entry in entries.reversed() {
            text.append(0x20)
            text.appendAddress(entry.from)
            text.append(0x2f)
            text.appendAddress(entry.to)
            text.append("/P/-/-/0")
        }
        text.append("\n\n")
        if text.size > 1 << 16 { text.write(to: sink) }
    }
}
