// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Finds the first differences in path, instruction and instruction count between two branch streams.
///
/// If both sides are at the beginning of chunks of the same cell and the digests agree, the scan skips the chunks.
/// Otherwise it decodes both chunks and compares them column by column. If a body is elided or damaged, the scan
/// compares the digests in the chunk headers instead.
struct BranchScan {
    /// What to compare, and how.
    struct Settings: Sendable {
        var useDigests: Bool
        /// Whether both logs are cut into the same chunks.
        var isSameGrid: Bool
        var comparesLabels: Bool
        var comparesIcounts: Bool
    }

    /// A range of clocks of the original that could not be compared record by record.
    struct Hole: Sendable {
        var clocks: Range<UInt64>
        var side: Side
        var reason: String
        /// Whether the digests of the records were compared.
        var hasDigests = false

        /// The caveat about it: a sentence that begins with the records.
        func text(_ records: String) -> String {
            "\(records) \(clocks.lowerBound) to \(clocks.upperBound &- 1) were "
                + (hasDigests ? "compared by their digests only: " : "not compared: ") + reason
        }
    }

    let settings: Settings
    var rules: BenignRules
    private(set) var path: FirstDifference?
    private(set) var instruction: FirstDifference?
    private(set) var instructionCount: FirstDifference?
    private(set) var holes: [Hole] = []
    private(set) var compared: UInt64 = 0
    private(set) var statistics = AlignmentStatistics()
    /// The number of differing pairs of chunks of which a body is elided.
    private(set) var elidedPairs = 0

    init(_ settings: Settings, rules: BenignRules) {
        self.settings = settings
        self.rules = rules
    }

    /// Compares the branches with clocks `range` of the original. Both segments must have all of them. Stops at the
    /// first difference of the path.
    mutating func scan(
        _ original: LogFile, _ replay: LogFile, _ pair: SegmentPair, range: Range<UInt64>, skew: Skew,
        progress: (UInt64) -> Void
    ) throws(LogError) {
        let readsAll = !settings.useDigests
        var a = BranchSide(original, pair.original, at: range.lowerBound, readsAll: readsAll)
        var b = BranchSide(replay, pair.replay, at: range.lowerBound &+ skew.clock, readsAll: readsAll)
        while path == nil, a.clock < range.upperBound, !a.isAtEnd, !b.isAtEnd {
            let digests = chunkDigests(a, b, range: range, skew: skew)
            if let digests, digests.isEqual, settings.useDigests {
                compared += UInt64(a.chunk.count)
                statistics.chunksByDigest += 1
                a.skipChunk()
                b.skipChunk()
                continue
            }
            guard try decode(&a, &b, digests, range: range, skew: skew) else { continue }
            statistics.chunksDecoded += 1
            compareColumns(&a, &b, end: range.upperBound, skew: skew)
            progress(a.clock)
        }
    }

    /// Forgets the first difference of the path, because it is ignored.
    mutating func ignorePath() { path = nil }

    // MARK: By digest

    /// Which digests of two chunks agree.
    private struct ChunkDigests {
        var path: Bool
        var label: Bool
        var icount: Bool
        var isEqual: Bool { path && label && icount }
    }

    /// Compares the digests of the two current chunks; nil if the chunks do not cover the same branches.
    private func chunkDigests(
        _ a: borrowing BranchSide, _ b: borrowing BranchSide, range: Range<UInt64>, skew: Skew
    ) -> ChunkDigests? {
        guard settings.isSameGrid, a.isAtChunkStart, b.isAtChunkStart else { return nil }
        let (x, y) = (a.chunk, b.chunk)
        guard x.count == y.count, x.clockLast < range.upperBound else { return nil }
        let icounts = x.digests.position == y.digests.position && x.icountFirst &+ skew.icount == y.icountFirst
        return ChunkDigests(
            path: x.digests.path == y.digests.path,
            label: !wantsLabels || x.digests.label == y.digests.label,
            icount: !wantsIcounts || icounts)
    }

    private var wantsLabels: Bool { settings.comparesLabels && instruction == nil }
    private var wantsIcounts: Bool { settings.comparesIcounts && instructionCount == nil }

    /// Decodes both chunks. If one cannot be decoded, uses the digests or notes a hole, skips the chunks, and returns
    /// false.
    private mutating func decode(
        _ a: inout BranchSide, _ b: inout BranchSide, _ digests: ChunkDigests?, range: Range<UInt64>, skew: Skew
    ) throws(LogError) -> Bool {
        let (problem, side) = try BranchScan.decode(&a, &b)
        guard let problem else { return true }
        if let digests {
            compared += UInt64(a.chunk.count)
            compareDigests(digests, a.chunk, b.chunk, problem, side)
            a.skipChunk()
            b.skipChunk()
            return false
        }
        let start = a.clock
        let last = side == .original ? a.chunk.clockLast : b.chunk.clockLast &- skew.clock
        let end = min(range.upperBound, last &+ 1)
        holes.append(Hole(clocks: start..<max(start, end), side: side, reason: problem.shortReason))
        BranchScan.move(&a, to: end)
        BranchScan.move(&b, to: end &+ skew.clock)
        return false
    }

    private static func decode(_ a: inout BranchSide, _ b: inout BranchSide) throws(LogError) -> (LogError?, Side) {
        var problem: (LogError?, Side) = (nil, .original)
        do throws(LogError) { try a.decode() } catch { problem = (error, .original) }
        if problem.0 == nil {
            do throws(LogError) { try b.decode() } catch { problem = (error, .replay) }
        }
        if let error = problem.0, error.isTrouble { throw error }
        return problem
    }

    private static func move(_ side: inout BranchSide, to clock: UInt64) {
        while !side.isAtEnd, side.clock < clock {
            side.advance(Int(min(side.chunk.clockLast + 1, clock) - side.clock))
        }
    }

    /// Notes differences that are known to the chunk only, and that the chunk of one side cannot be read.
    private mutating func compareDigests(
        _ digests: ChunkDigests, _ a: Chunk, _ b: Chunk, _ problem: LogError, _ side: Side
    ) {
        let clocks = a.clockFirst..<(a.clockLast + 1)
        func first(_ differenceClass: FirstDifference.Class) -> FirstDifference {
            FirstDifference(differenceClass: differenceClass, clocks: clocks, fields: [], stream: .branch)
        }
        if problem.kind == .elidedBody {
            if !digests.isEqual { elidedPairs += 1 }
        } else {
            holes.append(Hole(clocks: clocks, side: side, reason: problem.shortReason, hasDigests: true))
        }
        if !digests.label { instruction = first(.instruction) }
        if !digests.icount { instructionCount = first(.instructionCount) }
        if !digests.path { path = first(.path) }
    }

    // MARK: One by one

    private mutating func compareColumns(_ a: inout BranchSide, _ b: inout BranchSide, end: UInt64, skew: Skew) {
        let (x, y) = (a.columns, b.columns)
        let count = min(x.count, y.count, Int(clamping: end - a.clock))
        let equal = BranchColumns.firstPathDifference(x, y, count: count)
        if wantsLabels {
            let index = BranchColumns.firstLabelDifference(x, y, count: equal, rules: &rules)
            if index < equal { instruction = difference(.instruction, x.branch(index), y.branch(index), skew) }
        }
        if wantsIcounts {
            // A branch with another path can have another instruction count too. The path is the better evidence.
            let index = BranchColumns.firstIcountDifference(x, y, skew: skew.icount, count: equal)
            if index < equal {
                instructionCount = difference(.instructionCount, x.branch(index), y.branch(index), skew)
            }
        }
        if equal < count { path = difference(.path, x.branch(equal), y.branch(equal), skew) }
        compared += UInt64(min(count, equal + 1))
        a.advance(count)
        b.advance(count)
    }

    private func difference(
        _ differenceClass: FirstDifference.Class, _ a: Branch, _ b: Branch, _ skew: Skew
    ) -> FirstDifference {
        var fields: [FieldDifference] = []
        if a.from != b.from { fields.append(.init(name: "from", original: .address(a.from), replay: .address(b.from))) }
        if a.to != b.to { fields.append(.init(name: "to", original: .address(a.to), replay: .address(b.to))) }
        if settings.comparesLabels, a.label != b.label {
            fields.append(.init(name: "label", original: .name(a.label.name), replay: .name(b.label.name)))
        }
        if settings.comparesIcounts, a.icount &+ skew.icount != b.icount {
            fields.append(.init(name: "icount", original: .number(a.icount), replay: .number(b.icount)))
        }
        return FirstDifference(
            differenceClass: differenceClass, clocks: a.clock..<(a.clock + 1), original: .branch(a),
            replay: .branch(b), fields: fields, stream: .branch)
    }
}

extension LogError {
    /// Whether reading failed, which is no statement about the log.
    var isTrouble: Bool {
        if case .cannotRead = kind { true } else { false }
    }

    /// The reason why a chunk could not be used, as one clause.
    var shortReason: String {
        switch kind {
        case .elidedBody: "the branches are elided (mode digest)"
        case .damaged(let what): "damaged at offset \(offset ?? 0): \(what)"
        default: description
        }
    }
}
