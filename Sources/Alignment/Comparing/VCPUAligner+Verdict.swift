// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// MARK: - The verdict
extension VCPUAligner {
    /// The first difference of each class, over all streams.
    func firsts(_ scan: BranchScan, _ streams: [EventScan], _ order: ElementOrder) -> [FirstDifference] {
        var all = [scan.path, scan.instruction, scan.instructionCount].compactMap { $0 }
        for differences in [streams.map(\.event), streams.map(\.payload), streams.map(\.state)] {
            let found = differences.compactMap { $0 }
            if let first = found.min(by: order.precedes) { all.append(first) }
        }
        return all.map { narrowed($0, by: all) }
    }

    /// Narrows a path difference that is known to a cell only: it is not after the first event that differs in the cell.
    private func narrowed(_ first: FirstDifference, by others: [FirstDifference]) -> FirstDifference {
        guard first.stream == .branch, !first.isExact else { return first }
        var result = first
        for other in others where other.isExact && first.clocks.contains(other.clock) {
            result.clocks = first.clock..<min(result.clocks.upperBound, other.clock + 1)
        }
        return result
    }

    /// Makes the verdict, and finds the positions of the divergence.
    func decide(
        _ outcome: inout Outcome, _ streams: [EventScan], _ extents: (LogExtent, LogExtent)
    ) {
        let skew = outcome.stretch?.skew.clock ?? 0
        let ends = (extents.0.endClock, BranchComparison.shift(extents.1.endClock, by: skew))
        let start = outcome.alignment.compared.lowerBound
        let order = ElementOrder(skew: outcome.stretch?.skew ?? .none)
        let first = VCPUAligner.first(of: outcome.alignment.firsts, order)
        outcome.alignment.compared = start..<max(start, min(ends.0, ends.1, first?.clocks.upperBound ?? .max))
        if let ended = endedEarly(first, extents, ends) {
            let clock = ended == .replay ? ends.1 : ends.0
            outcome.alignment.verdict = ended == .replay ? .replayEndedEarly : .originalEndedEarly
            outcome.alignment.divergence = Divergence(
                vcpu: vcpu, verdict: outcome.alignment.verdict, difference: nil,
                original: RunPosition(clock: clock), replay: RunPosition(clock: clock &+ skew), clockSkew: skew,
                endReason: endReason(ended == .replay ? replay : original, ended == .replay ? extents.1 : extents.0))
            outcome.alignment.firsts.removeAll { $0.differenceClass == .event && $0.clock >= clock }
            return
        }
        guard let first else { return }
        outcome.alignment.verdict = verdict(of: first, streams)
        outcome.alignment.divergence = Divergence(
            vcpu: vcpu, verdict: outcome.alignment.verdict, difference: first,
            original: RunPosition(first.original, at: first.clock),
            replay: RunPosition(first.replay, at: first.clock &+ skew), clockSkew: skew)
        outcome.alignment.divergence?.completePositions(skew: outcome.stretch?.skew ?? .none)
    }

    /// The first difference. One between events that is known to a damaged chunk only can follow from any other one in that
    /// chunk: an exact one is the better answer.
    private static func first(of all: [FirstDifference], _ order: ElementOrder) -> FirstDifference? {
        guard let first = all.min(by: order.precedes), !first.isExact, first.stream != .branch else {
            return all.min(by: order.precedes)
        }
        return all.filter { $0.isExact && first.clocks.contains($0.clock) }.min(by: order.precedes) ?? first
    }

    private func verdict(of first: FirstDifference, _ streams: [EventScan]) -> Verdict {
        switch first.differenceClass {
        case .path: .controlFlow(.path)
        case .instruction: .controlFlow(.instruction)
        case .instructionCount: .controlFlow(.instructionCount)
        case .payload: .payload
        case .state: .state
        case .event: streams.first { $0.event == first }?.eventVerdict ?? .missingEvent
        }
    }

    /// The side that ended before the first difference; nil if none did. Its records are the beginning of the other's.
    private func endedEarly(
        _ first: FirstDifference?, _ extents: (LogExtent, LogExtent), _ ends: (UInt64, UInt64)
    ) -> Side? {
        // A log without branches knows its end by the instruction count only; the clock of the end is an estimate.
        let hasEstimate = [original, replay].contains { !$0.header.features.contains(.branches) }
        if first == nil, hasEstimate, let end = extents.0.comparableEnd?.icount,
            end == extents.1.comparableEnd?.icount
        {
            return nil
        }
        for (side, end, other) in [(Side.original, ends.0, ends.1), (.replay, ends.1, ends.0)] {
            let log = side == .original ? original : replay
            // A slice ends where it was cut, not where the run ended.
            guard LogExtent.isFinal(log), !log.isCutShort else { continue }
            // The engine ended this replay because it differs: the log ends with the difference.
            guard log.runEnd?.reason != .diverged else { continue }
            let extent = side == .original ? extents.0 : extents.1
            if let first {
                // One side has an event, and the other side has no further records.
                let isAlone =
                    first.differenceClass == .event && (side == .original ? first.original : first.replay) == nil
                let isShorter = extent.comparableEnd == nil || end < other
                if isAlone, first.isExact, isShorter, end <= first.clock { return side }
            } else if end < other,
                LogExtent.isFinal(side == .original ? replay : original) || extent.comparableEnd != nil
            {
                // A comparable end that only one log has ends the comparison, not the run.
                let otherExtent = side == .original ? extents.1 : extents.0
                if extent.comparableEnd == nil || otherExtent.comparableEnd != nil { return side }
            }
        }
        return nil
    }

    /// Why a log ends, if the log contains a reason.
    private func endReason(_ log: LogFile, _ extent: LogExtent) -> String {
        if let end = extent.comparableEnd { return end.reason.isEmpty ? "its comparable end" : end.reason }
        if let end = log.runEnd { return end.text.isEmpty ? end.reason.name : "\(end.reason.name): \(end.text)" }
        if log.canLackChunks { return "the log is damaged and may be cut short" }
        if log.lostRecords > 0 { return "its recorder could not write \(log.lostRecords) records" }
        switch log.completeness {
        case .closed: return "the log is closed and has no reason for the run's end"
        case .beingWritten: return "the log is being written"
        case .unclosed(let found):
            return found
                ? "the log was not closed: its recorder was killed"
                : "the log was not closed and has no open file: it may be cut short"
        }
    }
}

extension LogFile {
    /// Whether records of the run may be missing at the end of each stream.
    var mayLackTail: Bool {
        if lostRecords > 0 || canLackChunks { return true }
        if case .unclosed(openFileFound: false) = completeness { return true }
        return completeness == .beingWritten
    }
}

extension LogFile {
    /// Whether damage can hide whole chunks, so that records may be missing unnoticed.
    var canLackChunks: Bool { structuralDamage.contains { $0.what.canHideChunks } }
}

extension DamageKind {
    /// Whether a chunk can be lost by such damage.
    fileprivate var canHideChunks: Bool {
        switch self {
        case .checksum, .field, .missing, .truncated, .unreadable, .line, .input: true
        case .bodyHash, .decompression, .columns, .digest, .chain, .ordinal, .clock, .duplicate, .directory, .elided,
            .openFileMissing, .unknownContent:
            false
        }
    }
}

extension RangeEnd {
    /// The end of what is written so far: records at that clock do not count.
    init(before clock: UInt64) {
        self.clock = clock
        icount = 0
        isNamed = true
    }
}

extension RunPosition {
    /// The position of a record; the clock alone without one.
    init(_ element: Element?, at clock: UInt64) {
        switch element {
        case .branch(let branch): self.init(clock: branch.clock, icount: nil, ip: branch.from)
        case .event(let event):
            self.init(
                clock: event.clock, icount: event.validity.contains(.icount) ? event.icount : nil,
                ip: event.validity.contains(.ip) ? event.ip : nil)
        case nil: self.init(clock: clock)
        }
    }
}

extension Divergence {
    /// Adds the place of the run that lacks an event: it is at the same instruction.
    fileprivate mutating func completePositions(skew: Skew) {
        switch verdict {
        case .missingEvent where difference?.replay == nil:
            replay.icount = original.icount.map { $0 &+ skew.icount }
            replay.ip = original.ip
        case .extraEvent where difference?.original == nil:
            original.icount = replay.icount.map { $0 &- skew.icount }
            original.ip = replay.ip
        default: break
        }
    }
}

extension AlignmentStatistics {
    mutating func add(_ other: AlignmentStatistics) {
        bytesRead &+= other.bytesRead
        chunksByDigest &+= other.chunksByDigest
        chunksDecoded &+= other.chunksDecoded
        add(benign: other.benign)
        ignored.merge(other.ignored) { $0 &+ $1 }
    }

    mutating func add(benign counts: [String: UInt64]) {
        benign.merge(counts) { $0 &+ $1 }
    }
}
