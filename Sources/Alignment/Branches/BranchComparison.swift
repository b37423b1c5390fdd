// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Compares the branch streams of one vCPU, segment by segment.
struct BranchComparison {
    /// A stretch of the original that was compared, and the offset of the replay's counters there.
    struct Stretch: Sendable {
        var clocks: Range<UInt64>
        var skew: Skew
        var original: BranchSegment
        var replay: BranchSegment
    }

    private(set) var scan: BranchScan
    private(set) var stretches: [Stretch] = []
    private(set) var caveats: [Caveat] = []
    /// The clocks of each log that were ignored.
    private(set) var ignored: (original: [Range<UInt64>], replay: [Range<UInt64>]) = ([], [])
    /// How often each ignored code was passed, by its name.
    private(set) var ignoredUses: [String: UInt64] = [:]

    private let vcpu: UInt16
    private let original: LogFile
    private let replay: LogFile
    private let ignoredCode: [IgnoredCode]

    /// Passages through ignored code that are followed.
    private static let passageLimit = 1 << 16

    init(
        _ original: LogFile, _ replay: LogFile, vcpu: UInt16, _ settings: BranchScan.Settings, rules: BenignRules,
        ignoring code: [IgnoredCode] = []
    ) {
        ignoredCode = code
        self.original = original
        self.replay = replay
        self.vcpu = vcpu
        scan = BranchScan(settings, rules: rules)
    }

    /// Compares up to the two ends, each of them in the clock of its own log.
    mutating func run(
        start: UInt64, originalEnd: UInt64, replayEnd: UInt64, progress: (UInt64) -> Void
    ) throws(LogError) {
        let pairs = SegmentPair.all(
            BranchSegment.all(original.chunks(.branch, vcpu: vcpu)),
            BranchSegment.all(replay.chunks(.branch, vcpu: vcpu)))
        let hasOtherBase =
            vcpu == 0
            && (original.header.clockBase != replay.header.clockBase
                || original.header.icountBase != replay.header.icountBase)
        for (index, pair) in pairs.enumerated() {
            let isFree =
                pair.original.beginsAfterGap || pair.replay.beginsAfterGap || (index == 0 && hasOtherBase)
            var skew = Skew.none
            if isFree {
                let last = index > 0 ? stretches.last?.skew.clock ?? 0 : nil
                skew.clock = try findClockSkew(
                    pair, continuing: last.flatMap { pair.skew(after: pairs[index - 1], $0) })
            }
            let range = BranchComparison.common(pair, skew.clock, originalEnd, replayEnd)
            guard !range.isEmpty else { continue }
            if isFree { skew.icount = try findIcountSkew(pair, range, skew.clock) }
            stretches.append(
                Stretch(clocks: range, skew: skew, original: pair.original, replay: pair.replay))
            try scan.scan(original, replay, pair, range: range, skew: skew, progress: progress)
            try passIgnored(pair, originalEnd, replayEnd, progress)
            if scan.path != nil { break }
        }
        noteHoles(start: start, end: min(originalEnd, replayEnd))
    }

    /// Continues after differences in ignored code. Each passage shifts the replay's counters.
    private mutating func passIgnored(
        _ pair: SegmentPair, _ originalEnd: UInt64, _ replayEnd: UInt64, _ progress: (UInt64) -> Void
    ) throws(LogError) {
        while !ignoredCode.isEmpty, let path = scan.path, path.isExact, let last = stretches.last,
            ignored.original.count < BranchComparison.passageLimit,
            let passage = IgnoredPassage(
                ignoredCode, original, replay, vcpu: vcpu, clock: path.clock,
                replayClock: path.clock &+ last.skew.clock)
        {
            scan.ignorePath()
            ignoredUses[passage.name, default: 0] += 1
            ignored.original.append(path.clock..<passage.originalEnd)
            ignored.replay.append((path.clock &+ last.skew.clock)..<passage.replayEnd)
            stretches[stretches.count - 1].clocks = last.clocks.lowerBound..<passage.originalEnd
            let common = BranchComparison.common(pair, passage.skew.clock, originalEnd, replayEnd)
            let range = passage.originalEnd..<max(passage.originalEnd, common.upperBound)
            stretches.append(
                Stretch(clocks: range, skew: passage.skew, original: pair.original, replay: pair.replay))
            guard !range.isEmpty else { return }
            try scan.scan(original, replay, pair, range: range, skew: passage.skew, progress: progress)
        }
    }

    /// The clocks of the original that both segments have, up to the ends.
    private static func common(
        _ pair: SegmentPair, _ skew: UInt64, _ originalEnd: UInt64, _ replayEnd: UInt64
    ) -> Range<UInt64> {
        let low = max(pair.original.clocks.lowerBound, shift(pair.replay.clocks.lowerBound, by: skew))
        let high = min(
            pair.original.clocks.upperBound, shift(pair.replay.clocks.upperBound, by: skew), originalEnd,
            shift(replayEnd, by: skew))
        return low..<max(low, high)
    }

    /// Converts a clock of the replay to the original's count. Clamps the result to 64 bits.
    static func shift(_ clock: UInt64, by skew: UInt64) -> UInt64 {
        let distance = Int64(bitPattern: skew)
        let (result, overflows) =
            distance >= 0
            ? clock.subtractingReportingOverflow(distance.magnitude)
            : clock.addingReportingOverflow(distance.magnitude)
        return overflows ? (distance >= 0 ? 0 : .max) : result
    }

    /// Finds the offset of the replay's clock by the contents of two segments.
    ///
    /// - Parameter continuing: the offset if no branch is missing in the gap. In a loop many offsets fit for a while: of
    ///   this one and the one that the search finds, the one that fits for longer is right.
    private mutating func findClockSkew(
        _ pair: SegmentPair, continuing: UInt64?
    ) throws(LogError) -> UInt64 {
        guard var skew = try ContentSearch.clockSkew(original, replay, pair) else { return 0 }
        if let continuing, continuing != skew {
            let found = try ContentSearch.agreement(original, replay, pair, skew)
            if try ContentSearch.agreement(original, replay, pair, continuing) > found { skew = continuing }
        }
        guard skew != 0 else { return 0 }
        caveats.append(
            Caveat(
                .clockSkew, vcpu: vcpu, clocks: pair.original.clocks,
                "from clock \(pair.original.clocks.lowerBound) on the logs were aligned by their contents: "
                    + "the replay's clock is off by \(Int64(bitPattern: skew))"))
        return skew
    }

    private mutating func findIcountSkew(
        _ pair: SegmentPair, _ range: Range<UInt64>, _ clockSkew: UInt64
    ) throws(LogError) -> UInt64 {
        let first = range.lowerBound
        guard scan.settings.comparesIcounts,
            let a = try ContentSearch.read(original, pair.original, first..<(first + 1)).first,
            let b = try ContentSearch.read(replay, pair.replay, (first &+ clockSkew)..<(first &+ clockSkew + 1)).first,
            a.icount != b.icount
        else { return 0 }
        let skew = b.icount &- a.icount
        caveats.append(
            Caveat(
                .instructionSkew, vcpu: vcpu, clocks: range,
                "from clock \(first) on the replay's instruction count is off by \(Int64(bitPattern: skew)): "
                    + "it began with another one"))
        return skew
    }

    /// Adds caveats for the parts of the range that were not compared.
    private mutating func noteHoles(start: UInt64, end: UInt64) {
        let end = min(end, scan.path?.clocks.upperBound ?? end)
        for hole in scan.holes {
            caveats.append(
                Caveat(
                    .notCompared, side: hole.side, vcpu: vcpu, clocks: hole.clocks, hole.text("branches")))
        }
        var covered = start
        for stretch in stretches.sorted(by: { $0.clocks.lowerBound < $1.clocks.lowerBound }) {
            if stretch.clocks.lowerBound > covered, covered < end {
                noteMissing(covered..<min(stretch.clocks.lowerBound, end))
            }
            covered = max(covered, stretch.clocks.upperBound)
        }
        if covered < end { noteMissing(covered..<end) }
    }

    private mutating func noteMissing(_ clocks: Range<UInt64>) {
        caveats.append(
            Caveat(
                .notCompared, vcpu: vcpu, clocks: clocks,
                "branches \(clocks.lowerBound) to \(clocks.upperBound - 1) were not compared: "
                    + "they are not in both logs"))
    }
}
