// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Finds the first differences between two event streams of one vCPU: in the positions of events, in their contents, and
/// in state digests. Stops at the first event whose position differs.
struct EventScan {
    struct Settings: Sendable {
        var useDigests: Bool
        var isSameGrid: Bool
        var projection: EventProjection
        /// The logs whose streams may lack records at the end, so that the end is no difference.
        var openEnds: Set<Side>
        /// Those of them that are damaged.
        var damaged: Set<Side> = []
    }

    let stream: LogStream
    let settings: Settings
    /// The comparison of single records, with the rules that it applied.
    private(set) var comparison: EventComparison
    private(set) var event: FirstDifference?
    private(set) var payload: FirstDifference?
    private(set) var state: FirstDifference?
    /// The class of the first difference in events; nil before it is found.
    private(set) var eventVerdict: Verdict?
    private(set) var holes: [BranchScan.Hole] = []
    private(set) var compared: UInt64 = 0
    private(set) var statistics = AlignmentStatistics()

    /// The number of records of each side that are used to classify the first difference.
    static let window = 64

    init(_ stream: LogStream, _ settings: Settings, rules: BenignRules) {
        self.stream = stream
        self.settings = settings
        comparison = EventComparison(stream, settings.projection, rules)
    }

    mutating func scan(_ a: inout EventSide, _ b: inout EventSide) throws(LogError) {
        defer { statistics.chunksDecoded = max(a.decodedCount, b.decodedCount) }
        while event == nil {
            if skipByDigest(&a, &b) { continue }
            let hasA = try find(&a, &b, .original)
            let index = a.index
            let hasB = try find(&b, &a, .replay)
            // The search for the replay's next record can skip the original's, or open a hole around it.
            if hasA, a.index != index || (a.holeEnd != nil && !a.findInChunk()) { continue }
            guard event == nil, hasA || hasB else { return }
            if passState(&a, &b, hasA, hasB) { continue }
            guard hasA, hasB else {
                let ended = hasA ? Side.replay : .original
                if settings.openEnds.contains(ended) {
                    if settings.damaged.contains(ended) { noteDamage(hasA ? a.clock : b.clock, ended) }
                } else {
                    try stop(&a, &b, hasA, hasB)
                }
                return
            }
            compared += 1
            if comparison.isSamePlace(a, b) {
                comparePayload(a, b)
                a.advance()
                b.advance()
            } else {
                try stop(&a, &b, true, true)
            }
        }
    }

    /// Notes that the end of a stream is not compared, because a damaged log may lack its last records.
    private mutating func noteDamage(_ clock: UInt64, _ side: Side) {
        holes.append(
            BranchScan.Hole(
                clocks: clock..<(clock == .max ? clock : clock + 1), side: side,
                reason: "the log is damaged and can lack the records from there on"))
    }

    // MARK: State digests

    /// Takes a state digest. Two digests at one place are compared. A digest that only one log has is skipped:
    /// recorders may write a digest at any time, so that none is missing or extra.
    private mutating func passState(_ a: inout EventSide, _ b: inout EventSide, _ hasA: Bool, _ hasB: Bool) -> Bool {
        let isStateA = hasA && a.isAtState
        let isStateB = hasB && b.isAtState
        guard isStateA || isStateB else { return false }
        if isStateA, isStateB, a.clock == b.clock {
            if comparison.isSamePlace(a, b) {
                compared += 1
                comparePayload(a, b)
            }
            a.advance()
            b.advance()
        } else if isStateA, !isStateB || a.clock < b.clock {
            a.advance()
        } else {
            b.advance()
        }
        return true
    }

    /// Compares the contents of two records at one place. The first difference of events and of state digests is kept.
    private mutating func comparePayload(_ a: borrowing EventSide, _ b: borrowing EventSide) {
        if a.isAtState {
            if state == nil { state = comparison.stateDifference(a, b) }
        } else if payload == nil {
            payload = comparison.payloadDifference(a, b)
        }
    }

    // MARK: Moving on

    /// Whether the current chunks of both sides are of the same cell and have the same outline.
    private func isSameOutline(_ a: borrowing EventSide, _ b: borrowing EventSide) -> Bool {
        guard settings.isSameGrid, settings.projection.isWhole, a.isAtChunkStart, b.isAtChunkStart,
            a.missingBefore == nil, b.missingBefore == nil
        else { return false }
        let (x, y) = (a.chunk, b.chunk)
        return x.cell == y.cell && x.part == y.part && x.count == y.count && x.clockFirst == y.clockFirst
            && x.clockLast == y.clockLast && b.skew == .none && a.isChunkWhole && b.isChunkWhole
    }

    /// Skips chunks whose digests agree.
    private mutating func skipByDigest(_ a: inout EventSide, _ b: inout EventSide) -> Bool {
        guard settings.useDigests, isSameOutline(a, b), isEqual(a.chunk, b.chunk) else { return false }
        pass(&a, &b)
        return true
    }

    private mutating func pass(_ a: inout EventSide, _ b: inout EventSide) {
        compared += UInt64(a.chunk.count)
        statistics.chunksByDigest += 1
        a.skipChunk()
        b.skipChunk()
    }

    private func isEqual(_ x: Chunk, _ y: Chunk) -> Bool {
        isSamePosition(x, y) && x.digests.payload == y.digests.payload
    }

    private func isSamePosition(_ x: Chunk, _ y: Chunk) -> Bool {
        x.digests.position == y.digests.position && x.icountFirst == y.icountFirst && x.icountLast == y.icountLast
    }

    /// Moves a side to its next record in the range, and decodes chunks as needed. Returns false at the end of the
    /// stream, or if digests show a difference.
    private mutating func find(_ side: inout EventSide, _ other: inout EventSide, _ name: Side) throws(LogError) -> Bool
    {
        while !side.isAtEnd {
            if let missing = side.missingBefore, side.holeEnd == nil || missing.upperBound - 1 > (side.holeEnd ?? 0) {
                note(missing, &side, &other, name, "records are missing")
            }
            do throws(LogError) {
                try side.decode()
            } catch {
                if error.isTrouble { throw error }
                other.leaveReadChunk()
                if isSameOutline(side, other) {
                    compareDigests(&side, &other, name, error)
                    if event != nil { return false }
                    continue
                }
                note(side.chunk.clocks, &side, &other, name, error.shortReason)
                side.skipChunk()
                continue
            }
            if side.findInChunk() { return true }
            side.skipChunk()
        }
        return false
    }

    /// Notes clocks, in the count of one side's log, that cannot be compared. Both sides skip them.
    private mutating func note(
        _ own: Range<UInt64>, _ side: inout EventSide, _ other: inout EventSide, _ name: Side, _ reason: String
    ) {
        let skew = side.skew.clock
        let last = BranchComparison.shift(own.upperBound - 1, by: skew)
        let first = min(BranchComparison.shift(own.lowerBound, by: skew), last)
        side.holeEnd = max(side.holeEnd ?? 0, last)
        other.holeEnd = max(other.holeEnd ?? 0, last)
        holes.append(
            BranchScan.Hole(clocks: first..<(last == .max ? last : last + 1), side: name, reason: reason))
    }

    /// Compares two chunks by their digests, because one of them cannot be read.
    private mutating func compareDigests(
        _ side: inout EventSide, _ other: inout EventSide, _ name: Side, _ problem: LogError
    ) {
        let (x, y) = (side.chunk, other.chunk)
        let clocks = x.clocks
        holes.append(BranchScan.Hole(clocks: clocks, side: name, reason: problem.shortReason, hasDigests: true))
        func first(_ differenceClass: FirstDifference.Class) -> FirstDifference {
            FirstDifference(differenceClass: differenceClass, clocks: clocks, fields: [], stream: stream)
        }
        if !isSamePosition(x, y) {
            event = first(.event)
            let (original, replay) = name == .original ? (x.count, y.count) : (y.count, x.count)
            eventVerdict =
                original > replay
                ? .missingEvent : original < replay ? .extraEvent : .movedEvent(transitions: 0, instructions: nil)
        } else if x.digests.payload != y.digests.payload, payload == nil {
            payload = first(.payload)
        }
        pass(&side, &other)
    }

    // MARK: The end

    /// Classifies the first difference by the records that follow on both sides.
    private mutating func stop(
        _ a: inout EventSide, _ b: inout EventSide, _ hasA: Bool, _ hasB: Bool
    ) throws(LogError) {
        var (x, y) = ([] as [EventMatch.Candidate], [] as [EventMatch.Candidate])
        var end = UInt64.max
        if hasA { (x, end) = try takeCandidates(&a, .original) }
        if hasB {
            let (taken, readable) = try takeCandidates(&b, .replay)
            (y, end) = (taken, min(end, readable))
        }
        // Records that only one side can still have say nothing; the first ones are the difference.
        x = Array(x.prefix(1) + x.dropFirst().prefix { $0.clock < end })
        y = Array(y.prefix(1) + y.dropFirst().prefix { $0.clock < end })
        (x, y) = (EventMatch.Candidate.withoutExplained(x), EventMatch.Candidate.withoutExplained(y))
        let match = EventMatch(original: x, replay: y)
        let low = min(x.first?.clock ?? .max, y.first?.clock ?? .max)
        var fields: [FieldDifference] = []
        if let original = match.original, let replay = match.replay {
            fields = EventFields.differences(original, replay, settings.projection)
            if case .movedEvent(let transitions, _) = match.verdict, transitions != 0 {
                let (from, to) = (
                    FieldDifference.Value.number(original.clock), FieldDifference.Value.number(replay.clock)
                )
                fields.insert(FieldDifference(name: "brctr", original: from, replay: to), at: 0)
            }
        }
        event = FirstDifference(
            differenceClass: .event, clocks: low..<(low == .max ? low : low + 1),
            original: match.original.map { .event($0) }, replay: match.replay.map { .event($0) }, fields: fields,
            stream: stream)
        eventVerdict = match.verdict
    }

    /// Takes the records from the current one on, up to the first chunk that cannot be read; notes that chunk.
    private mutating func takeCandidates(
        _ side: inout EventSide, _ name: Side
    ) throws(LogError) -> (candidates: [EventMatch.Candidate], end: UInt64) {
        let (candidates, problem) = try side.takeCandidates(EventScan.window)
        guard let problem else { return (candidates, .max) }
        let chunk = side.chunk
        let clocks = [chunk.clockFirst, min(chunk.clockLast, .max - 1)].map {
            BranchComparison.shift($0, by: side.skew.clock)
        }
        holes.append(
            BranchScan.Hole(
                clocks: min(clocks[0], clocks[1])..<(min(clocks[1], .max - 1) + 1), side: name,
                reason: problem.shortReason))
        return (candidates, clocks[0])
    }
}
