// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Compares the runs of one vCPU.
struct VCPUAligner {
    let original: LogFile
    let replay: LogFile
    let vcpu: UInt16
    let options: AlignmentOptions
    let comparability: Comparability

    /// What came of it, besides the alignment itself.
    struct Outcome: Sendable {
        var alignment: VCPUAlignment
        var caveats: [Caveat]
        var statistics: AlignmentStatistics
        /// The stretch of the branch streams that the divergence lies in.
        var stretch: BranchComparison.Stretch?
    }

    func run(progress: (UInt64) -> Void) throws(LogError) -> Outcome {
        let extents = (LogExtent(original, vcpu: vcpu), LogExtent(replay, vcpu: vcpu))
        let start = max(extents.0.start, extents.1.start)
        let ends = (RangeEnd(extents.0), RangeEnd(extents.1))
        let features = comparability.features

        let settings = BranchScan.Settings(
            useDigests: options.useDigests, isSameGrid: comparability.isSameGrid,
            comparesLabels: features.contains(.labels), comparesIcounts: features.contains(.icount))
        var branches = BranchComparison(
            original, replay, vcpu: vcpu, settings, rules: BenignRules(options.rules))
        if features.contains(.branches) {
            try branches.run(
                start: start, originalEnd: ends.0.clock, replayEnd: ends.1.clock, progress: progress)
        }
        let streams = try compareEvents(branches, start: start, ends: ends)

        var outcome = Outcome(
            alignment: VCPUAlignment(vcpu: vcpu, verdict: .identical, compared: start..<start),
            caveats: branches.caveats, statistics: branches.scan.statistics, stretch: branches.stretches.last)
        outcome.statistics.add(benign: branches.scan.rules.counts)
        for stream in streams {
            outcome.statistics.add(stream.statistics)
            outcome.statistics.add(benign: stream.rules.counts)
            outcome.alignment.eventsCompared += stream.compared
            for hole in stream.holes { outcome.caveats.append(caveat(of: hole, stream.stream)) }
        }
        outcome.alignment.branchesCompared = branches.scan.compared
        outcome.alignment.firsts = firsts(branches.scan, streams)
        if branches.scan.elidedPairs > 0 {
            outcome.caveats.append(
                Caveat(
                    .bodiesElided, vcpu: vcpu,
                    "a log holds digests in place of branches (mode digest): the difference is known to its cell only"))
        }
        decide(&outcome, streams, extents)
        return outcome
    }

    // MARK: Events

    private func compareEvents(
        _ branches: BranchComparison, start: UInt64, ends: (RangeEnd, RangeEnd)
    ) throws(LogError) -> [EventScan] {
        var skews: [UInt32: Skew] = [:]
        for stretch in branches.stretches where stretch.skew != .none { skews[stretch.replay.epoch] = stretch.skew }
        let covered = Coverage.common(original, replay, vcpu: vcpu, skews: skews)
        // An end in the other log's clock; skewed logs end where their last stretch ends.
        let skew = branches.stretches.last?.skew.clock ?? 0
        var (originalEnd, replayEnd) = ends
        var inOriginal = ends.1
        inOriginal.clock = BranchComparison.shift(ends.1.clock, by: skew)
        var inReplay = ends.0
        inReplay.clock = BranchComparison.shift(ends.0.clock, by: 0 &- skew)
        if inOriginal.isNamed, inOriginal.precedes(originalEnd) { originalEnd = inOriginal }
        if inReplay.isNamed, inReplay.precedes(replayEnd) { replayEnd = inReplay }
        limit(&originalEnd, &replayEnd, skew: skew)

        let projection = EventProjection(original.header.features, replay.header.features)
        var scans: [EventScan] = []
        for stream in [LogStream.event, .access] {
            if stream == .access, !comparability.features.contains(.accesses), !comparability.features.contains(.mmio) {
                continue
            }
            let openEnds = [(Side.original, original), (.replay, replay)].filter { _, log in
                log.mayLackTail || log.mayLackTail(stream, vcpu: vcpu)
            }
            let settings = EventScan.Settings(
                useDigests: options.useDigests, isSameGrid: comparability.isSameGrid, projection: projection,
                openEnds: Set(openEnds.map(\.0)))
            var scan = EventScan(stream, settings, rules: BenignRules(options.rules))
            var a = EventSide(
                original, original.chunks(stream, vcpu: vcpu),
                EventRange(start: start, end: originalEnd, covered: covered, skews: [:]), projection)
            var b = EventSide(
                replay, replay.chunks(stream, vcpu: vcpu),
                EventRange(start: start, end: replayEnd, covered: covered, skews: skews), projection)
            try scan.scan(&a, &b)
            scans.append(scan)
        }
        return scans
    }

    /// A log that is being written ends nowhere yet: the other one is compared only that far.
    private func limit(_ originalEnd: inout RangeEnd, _ replayEnd: inout RangeEnd, skew: UInt64) {
        if !LogExtent.isFinal(replay) {
            let clock = BranchComparison.shift(replayEnd.clock, by: skew)
            if clock < originalEnd.clock { originalEnd = RangeEnd(before: clock) }
        }
        if !LogExtent.isFinal(original) {
            let clock = BranchComparison.shift(originalEnd.clock, by: 0 &- skew)
            if clock < replayEnd.clock { replayEnd = RangeEnd(before: clock) }
        }
    }

    private func caveat(of hole: BranchScan.Hole, _ stream: LogStream) -> Caveat {
        Caveat(
            .notCompared, side: hole.side, vcpu: vcpu, clocks: hole.clocks,
            "\(stream.name) records at clocks \(hole.clocks.lowerBound) to \(hole.clocks.upperBound &- 1) "
                + "were not compared: \(hole.reason)")
    }

    // MARK: The verdict

    private func firsts(_ scan: BranchScan, _ streams: [EventScan]) -> [FirstDifference] {
        var all = [scan.path, scan.instruction, scan.instructionCount].compactMap { $0 }
        for differences in [streams.map(\.event), streams.map(\.payload), streams.map(\.state)] {
            let found = differences.compactMap { $0 }
            if let first = found.min(by: { $0.precedes($1) }) { all.append(first) }
        }
        return all.map { narrowed($0, by: all) }
    }

    /// A path difference that is known to a cell only cannot stand behind the first event that differs in that cell.
    private func narrowed(_ first: FirstDifference, by others: [FirstDifference]) -> FirstDifference {
        guard first.stream == .branch, !first.isExact else { return first }
        var result = first
        for other in others where other.isExact && first.clocks.contains(other.clock) {
            result.clocks = first.clock..<min(result.clocks.upperBound, other.clock + 1)
        }
        return result
    }

    private func decide(
        _ outcome: inout Outcome, _ streams: [EventScan], _ extents: (LogExtent, LogExtent)
    ) {
        let skew = outcome.stretch?.skew.clock ?? 0
        let ends = (extents.0.endClock, BranchComparison.shift(extents.1.endClock, by: skew))
        let start = outcome.alignment.compared.lowerBound
        let first = cause(outcome.alignment.firsts)
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
    }

    /// The first difference, but for a discontinuity that comes at another time at the same instruction: that is a
    /// fault of the instruction, and what brought the run to it earlier or later is the branch that differs at that
    /// clock.
    private func cause(_ firsts: [FirstDifference]) -> FirstDifference? {
        guard let first = firsts.min(by: { $0.precedes($1) }) else { return nil }
        guard first.differenceClass == .event, case .event(let a) = first.original, case .event(let b) = first.replay,
            a.kind == .discontinuity, b.kind == .discontinuity, a.ip == b.ip,
            let path = firsts.first(where: { $0.differenceClass == .path }), path.isExact, path.clock == first.clock
        else { return first }
        return path
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

    /// The side that ended before the first difference, if one did: its records are the beginning of the other's.
    private func endedEarly(
        _ first: FirstDifference?, _ extents: (LogExtent, LogExtent), _ ends: (UInt64, UInt64)
    ) -> Side? {
        // A log without branches counts its end in instructions alone; its clock is an estimate.
        let hasEstimate = [original, replay].contains { !$0.header.features.contains(.branches) }
        if first == nil, hasEstimate, let end = extents.0.comparableEnd?.icount,
            end == extents.1.comparableEnd?.icount
        {
            return nil
        }
        for (side, end, other) in [(Side.original, ends.0, ends.1), (.replay, ends.1, ends.0)] {
            let log = side == .original ? original : replay
            guard LogExtent.isFinal(log) else { continue }
            let extent = side == .original ? extents.0 : extents.1
            if let first {
                // One side has an event where the other has nothing more at all.
                let isAlone =
                    first.differenceClass == .event && (side == .original ? first.original : first.replay) == nil
                let isShorter = extent.comparableEnd == nil || end < other
                if isAlone, first.isExact, isShorter, end <= first.clock { return side }
            } else if end < other,
                LogExtent.isFinal(side == .original ? replay : original) || extent.comparableEnd != nil
            {
                // A comparable end of one log only ends the comparison, not the run.
                let otherExtent = side == .original ? extents.1 : extents.0
                if extent.comparableEnd == nil || otherExtent.comparableEnd != nil { return side }
            }
        }
        return nil
    }

    /// How a log says that its run ended.
    private func endReason(_ log: LogFile, _ extent: LogExtent) -> String {
        if let end = extent.comparableEnd { return end.reason.isEmpty ? "its comparable end" : end.reason }
        if let end = log.runEnd { return end.text.isEmpty ? end.reason.name : "\(end.reason.name): \(end.text)" }
        if log.lostRecords > 0 { return "its recorder could not write \(log.lostRecords) records" }
        switch log.completeness {
        case .closed: return "the log is closed and does not say why"
        case .beingWritten: return "the log is being written"
        case .unclosed(let found):
            return found
                ? "the log was not closed: its recorder was killed"
                : "the log was not closed and has no open file: it may be cut short"
        }
    }
}

extension LogFile {
    /// Records that a run had may be missing at the end of each stream.
    var mayLackTail: Bool {
        if lostRecords > 0 { return true }
        if case .unclosed(openFileFound: false) = completeness { return true }
        return completeness == .beingWritten
    }
}

extension RangeEnd {
    /// The end of what has been written so far: nothing at that clock counts.
    init(before clock: UInt64) {
        self.clock = clock
        icount = 0
        isNamed = true
    }
}

extension FirstDifference {
    /// 0 for state digests, 1 for events, 2 for transitions.
    var rank: Int { differenceClass == .state ? 0 : stream == .branch ? 2 : 1 }

    /// The order of differences: by clock, then state before events before the transition; events by instruction
    /// count, then stream, then ordinal.
    func precedes(_ other: FirstDifference) -> Bool {
        if clock != other.clock { return clock < other.clock }
        if rank != other.rank { return rank < other.rank }
        if rank == 2 { return classOrder < other.classOrder }
        let (a, b) = (firstEvent, other.firstEvent)
        if let x = a?.icount, let y = b?.icount, x != y { return x < y }
        if stream != other.stream { return stream.rawValue < other.stream.rawValue }
        return (a?.ordinal ?? 0) < (b?.ordinal ?? 0)
    }

    /// Of differences at one branch the path says most.
    private var classOrder: Int { FirstDifference.Class.allCases.firstIndex(of: differenceClass) ?? 0 }

    private var firstEvent: Event? {
        let events = [original, replay].compactMap { element -> Event? in
            if case .event(let event) = element { event } else { nil }
        }
        return events.min { ($0.clock, $0.icount) < ($1.clock, $1.icount) }
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

extension AlignmentStatistics {
    mutating func add(_ other: AlignmentStatistics) {
        bytesRead &+= other.bytesRead
        chunksByDigest &+= other.chunksByDigest
        chunksDecoded &+= other.chunksDecoded
        add(benign: other.benign)
    }

    mutating func add(benign counts: [String: UInt64]) {
        benign.merge(counts) { $0 &+ $1 }
    }
}
