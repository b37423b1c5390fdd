// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// How often each distinct stretch of a run was run: from the target of one branch to the source of the next.
///
/// If one end is not known (before the first branch of a vCPU, after the last, around a gap), the instruction at the
/// other end is a stretch of its own: it began.
///
///     var stretches = StretchCounts()
///     stretches.begin()
///     while branches.nextBatch({ stretches.add($0, $1) }) {}
///     stretches.end()
///     let coverage = try Coverage(stretches, symbolizer, code)
public struct StretchCounts: ~Copyable {
    /// Stretches by begin and end. Tag 1: an interrupt, an exception or a fault had left the first instruction, which
    /// begins again and is not counted there.
    private(set) var pairs: PairCounts

    static let againTag: UInt8 = 1

    private var previous = (clock: 0 as UInt64, to: 0 as UInt64, epoch: 0 as UInt32)
    private var hasPrevious = false
    private var isPreviousCounted = false
    private var resumptions = Resumptions()

    /// - Parameter limit: more distinct stretches than this are not counted.
    public init(limit: Int = 1 << 22) {
        pairs = PairCounts(limit: limit)
    }

    /// Stretches that were left out because there are too many distinct ones.
    public var leftOut: UInt64 { pairs.leftOut }
    /// The most distinct stretches that are counted.
    public var limit: Int { pairs.limit }

    /// The branches of a vCPU begin.
    public mutating func begin() { end() }

    /// The branches of the vCPU are over.
    public mutating func end() {
        if hasPrevious, isPreviousCounted, !resumptions.begins(at: previous.to) {
            pairs.add(previous.to, previous.to)
        }
        hasPrevious = false
        resumptions.forget()
    }

    /// Counts the stretches that some branches end.
    ///
    /// - Parameter counts: whether they are counted; else the branches are only followed.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>, counts: Bool = true) {
        let (from, to, label) = (batch.from, batch.to, batch.label)
        guard !range.isEmpty else { return }
        var next = range.lowerBound
        let clock = batch.clockFirst &+ UInt64(next)
        if !hasPrevious || previous.clock &+ 1 != clock || previous.epoch != batch.epoch {
            end()
            hasPrevious = true
            if counts { pairs.add(from[next], from[next]) }
            resume(begin: nil, from[next], label[next])
            previous.to = to[next]
            next &+= 1
        }
        var begin = previous.to
        while next < range.upperBound {
            var isRestart = false
            if resumptions.isReturning || StretchCounts.isNoted(label[next]) {
                isRestart = resume(begin: begin, from[next], label[next])
            }
            if counts { pairs.add(begin, from[next], tag: isRestart ? StretchCounts.againTag : 0) }
            begin = to[next]
            next &+= 1
        }
        isPreviousCounted = counts
        previous = (batch.clockFirst &+ UInt64(range.upperBound &- 1), begin, batch.epoch)
    }

    @inline(__always)
    private static func isNoted(_ label: UInt8) -> Bool {
        let label = BranchLabel(rawValue: label)
        return label.isDiscontinuity || Resumptions.isReturn(label)
    }

    /// Records the instructions that begin again, as ``InstructionWalk`` does.
    @inline(never)
    @discardableResult
    private mutating func resume(begin: UInt64?, _ from: UInt64, _ label: UInt8) -> Bool {
        let label = BranchLabel(rawValue: label)
        let isRestart = resumptions.begins(at: begin)
        if label.isDiscontinuity {
            resumptions.left(from)
        } else if Resumptions.isReturn(label) {
            resumptions.returned()
        }
        return isRestart
    }
}
