// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Compares the runs of one vCPU: the branches first, then the events and accesses in the same range. The verdict is made
/// in VCPUAligner+Verdict.swift.
struct VCPUAligner {
    let original: LogFile
    let replay: LogFile
    let vcpu: UInt16
    let options: AlignmentOptions
    let comparability: Comparability

    /// The result of a comparison.
    struct Outcome: Sendable {
        var alignment: VCPUAlignment
        var caveats: [Caveat]
        var statistics: AlignmentStatistics
        /// The stretch of the branch streams that contains the divergence.
        var stretch: BranchComparison.Stretch?
    }

    /// Compares everything that both logs have.
    ///
    /// - Parameter progress: receives the number of branches compared since its last call.
    func run(progress: (UInt64) -> Void) throws(LogError) -> Outcome {
        let extents = (LogExtent(original, vcpu: vcpu), LogExtent(replay, vcpu: vcpu))
        let start = max(extents.0.start, extents.1.start)
        let ends = (RangeEnd(extents.0), RangeEnd(extents.1))
        let features = comparability.features

        let settings = BranchScan.Settings(
            useDigests: options.useDigests, isSameGrid: comparability.isSameGrid,
            comparesLabels: features.contains(.labels), comparesIcounts: features.contains(.icount))
        var branches = BranchComparison(
            original, replay, vcpu: vcpu, settings, rules: BenignRules(options.rules), ignoring: options.ignoredCode)
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
            outcome.statistics.add(benign: stream.comparison.rules.counts)
            outcome.alignment.eventsCompared += stream.compared
            for hole in stream.holes { outcome.caveats.append(caveat(of: hole, stream.stream)) }
        }
        outcome.statistics.ignored = branches.ignoredUses
        outcome.alignment.branchesCompared = branches.scan.compared
        outcome.alignment.firsts = firsts(
            branches.scan, streams, ElementOrder(skew: branches.stretches.last?.skew ?? .none))
        if branches.scan.elidedPairs > 0 {
            outcome.caveats.append(
                Caveat(
                    .bodiesElided, vcpu: vcpu,
                    "a log has digests in place of branches (mode digest): the difference is known to its cell only"))
        }
        decide(&outcome, streams, extents)
        return outcome
    }

    // MARK: Events

    /// Compares the events and the accesses, in the range that the branches' stretches have in common.
    private func compareEvents(
        _ branches: BranchComparison, start: UInt64, ends: (RangeEnd, RangeEnd)
    ) throws(LogError) -> [EventScan] {
        let skews = eventSkews(branches)
        let covered = Coverage.common(
            original, replay, vcpu: vcpu, skews: skews.compactMapValues { $0.last?.skew })
        let (originalEnd, replayEnd) = commonEnds(ends, skew: branches.stretches.last?.skew.clock ?? 0)
        let originalRange = EventRange(
            start: start, end: originalEnd, covered: covered, skews: [:], ignored: branches.ignored.original,
            isIgnored: isIgnored(.original))
        let replayRange = EventRange(
            start: start, end: replayEnd, covered: covered, skews: skews, ignored: branches.ignored.replay,
            isIgnored: isIgnored(.replay))
        let projection = EventProjection(original.header.features, replay.header.features)
        var scans: [EventScan] = []
        for stream in [LogStream.event, .access] {
            if stream == .access, comparability.features.isDisjoint(with: [.accesses, .mmio, .ram]) { continue }
            let openEnds = [(Side.original, original), (.replay, replay)].filter { _, log in
                log.mayLackTail || log.mayLackTail(stream, vcpu: vcpu)
            }
            var settings = EventScan.Settings(
                useDigests: options.useDigests, isSameGrid: comparability.isSameGrid, projection: projection,
                openEnds: Set(openEnds.map(\.0)))
            if original.canLackChunks { settings.damaged.insert(.original) }
            if replay.canLackChunks { settings.damaged.insert(.replay) }
            var scan = EventScan(stream, settings, rules: BenignRules(options.rules))
            var a = EventSide(original, original.chunks(stream, vcpu: vcpu), originalRange, projection)
            var b = EventSide(replay, replay.chunks(stream, vcpu: vcpu), replayRange, projection)
            try scan.scan(&a, &b)
            scans.append(scan)
        }
        return scans
    }

    /// The offsets of the replay's counters, by epoch. Ignored code can shift them within an epoch.
    private func eventSkews(_ branches: BranchComparison) -> [UInt32: [EventRange.SkewFrom]] {
        var skews: [UInt32: [EventRange.SkewFrom]] = [:]
        for stretch in branches.stretches where stretch.skew != .none || skews[stretch.replay.epoch] != nil {
            let clock = stretch.clocks.lowerBound &+ stretch.skew.clock
            skews[stretch.replay.epoch, default: []].append(EventRange.SkewFrom(clock: clock, skew: stretch.skew))
        }
        guard !branches.ignored.original.isEmpty else { return skews }
        for (epoch, pieces) in skews where branches.stretches.first?.skew == Skew.none {
            skews[epoch] = [EventRange.SkewFrom(clock: 0, skew: .none)] + pieces
        }
        return skews
    }

    /// A function that returns whether events at an address are ignored; nil if none are.
    private func isIgnored(_ side: Side) -> (@Sendable (UInt64) -> Bool)? {
        let code = options.ignoredCode
        guard !code.isEmpty else { return nil }
        return { address in code.contains { $0.contains(address, side) } }
    }

    /// The end of the common range, in the clock of each log: the earlier of both comparable ends.
    ///
    /// - Parameter skew: The offset of the replay's clock in the last stretch.
    private func commonEnds(_ ends: (RangeEnd, RangeEnd), skew: UInt64) -> (RangeEnd, RangeEnd) {
        var (originalEnd, replayEnd) = ends
        var replayEndInOriginal = ends.1
        replayEndInOriginal.clock = BranchComparison.shift(ends.1.clock, by: skew)
        var originalEndInReplay = ends.0
        originalEndInReplay.clock = BranchComparison.shift(ends.0.clock, by: 0 &- skew)
        if replayEndInOriginal.isNamed, replayEndInOriginal.precedes(originalEnd) { originalEnd = replayEndInOriginal }
        if originalEndInReplay.isNamed, originalEndInReplay.precedes(replayEnd) { replayEnd = originalEndInReplay }
        limit(&originalEnd, &replayEnd, skew: skew)
        return (originalEnd, replayEnd)
    }

    /// Limits the comparison to the current end of a log that is being written.
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
            hole.text("\(stream.name) records at clocks"))
    }
}
