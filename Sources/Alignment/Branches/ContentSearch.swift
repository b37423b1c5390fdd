// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Finds where two stretches of branches take the same path, by the addresses of the branches.
enum ContentSearch {
    /// The number of consecutive equal branches that identifies a place.
    static let proof = 32
    /// The number of branches that a search covers.
    static let reach: UInt64 = 65_536

    /// The branches of a segment with clocks in a range, up to the first that cannot be read.
    static func read(_ log: LogFile, _ segment: BranchSegment, _ range: Range<UInt64>) throws(LogError) -> [Branch] {
        let range = range.clamped(to: segment.clocks)
        guard !range.isEmpty else { return [] }
        var side = BranchSide(log, segment, at: range.lowerBound)
        var branches: [Branch] = []
        while !side.isAtEnd, side.clock < range.upperBound {
            do throws(LogError) {
                try side.decode()
            } catch {
                if error.isTrouble { throw error }
                break
            }
            let columns = side.columns
            let count = min(columns.count, Int(clamping: range.upperBound - side.clock))
            for index in 0..<count { branches.append(columns.branch(index)) }
            side.advance(count)
        }
        return branches
    }

    /// The smallest numbers of branches to skip in `a` and `b` after which both take the same path for `length`
    /// branches.
    static func meeting(_ a: [Branch], _ b: [Branch], length: Int = proof) -> (a: Int, b: Int)? {
        guard a.count >= length, b.count >= length else { return nil }
        let (hashes, others) = (windowHashes(a, length), windowHashes(b, length))
        var firstIndex: [UInt64: Int] = [:]
        for (index, hash) in hashes.enumerated() where firstIndex[hash] == nil { firstIndex[hash] = index }
        var best: (a: Int, b: Int)?
        for (index, hash) in others.enumerated() {
            if let best, index >= best.a + best.b { break }
            guard let other = firstIndex[hash], other + index < best.map({ $0.a + $0.b }) ?? .max else { continue }
            if isSamePath(a[other..<(other + length)], b[index..<(index + length)]) { best = (other, index) }
        }
        return best
    }

    /// The offset of the replay's clock in a pair of segments of which one begins after a gap. 0 if the branches at
    /// equal clocks are the same; nil if no part of one segment is found in the other.
    static func clockSkew(
        _ original: LogFile, _ replay: LogFile, _ pair: SegmentPair
    ) throws(LogError) -> UInt64? {
        let (a, b) = (pair.original, pair.replay)
        let start = max(a.clocks.lowerBound, b.clocks.lowerBound)
        let head = start..<saturating(start, UInt64(proof))
        let heads = (try read(original, a, head), try read(replay, b, head))
        if !heads.0.isEmpty, isSamePath(heads.0[...], heads.1[...]) { return 0 }
        let window = (start > reach ? start - reach : 0)..<saturating(start, reach)
        if let found = try find(original, a, in: replay, b, window) { return found }
        return try find(replay, b, in: original, a, window).map { 0 &- $0 }
    }

    /// The number of branches at the beginning of two segments that are the same, at an offset of the replay's clock. At
    /// most ``agreementLimit``.
    static func agreement(
        _ original: LogFile, _ replay: LogFile, _ pair: SegmentPair, _ skew: UInt64
    ) throws(LogError) -> UInt64 {
        let start = max(
            pair.original.clocks.lowerBound, BranchComparison.shift(pair.replay.clocks.lowerBound, by: skew))
        var agreed: UInt64 = 0
        while agreed < agreementLimit {
            let first = saturating(start, agreed)
            let a = try read(original, pair.original, first..<saturating(first, reach))
            let b = try read(replay, pair.replay, (first &+ skew)..<saturating(first &+ skew, reach))
            let same = zip(a, b).prefix { $0.from == $1.from && $0.to == $1.to }.count
            agreed += UInt64(same)
            if same == 0 || same < Int(reach) { break }
        }
        return agreed
    }

    /// The largest result of ``agreement(_:_:_:_:)``.
    private static let agreementLimit: UInt64 = 1 << 22

    /// Searches another log for the first branches of a segment. Returns the clock there minus the clock here.
    private static func find(
        _ log: LogFile, _ segment: BranchSegment, in other: LogFile, _ otherSegment: BranchSegment,
        _ window: Range<UInt64>
    ) throws(LogError) -> UInt64? {
        let first = segment.clocks.lowerBound
        let needle = try read(log, segment, first..<saturating(first, UInt64(proof)))
        let hay = try read(other, otherSegment, window)
        guard needle.count == proof, hay.count >= proof else { return nil }
        var best: UInt64?
        for index in 0...(hay.count - proof) where isSamePath(needle[...], hay[index..<(index + proof)]) {
            let skew = hay[index].clock &- first
            if best.map({ Int64(bitPattern: skew).magnitude < Int64(bitPattern: $0).magnitude }) ?? true { best = skew }
        }
        return best
    }

    private static func saturating(_ clock: UInt64, _ count: UInt64) -> UInt64 {
        let (sum, overflows) = clock.addingReportingOverflow(count)
        return overflows ? .max : sum
    }

    static func isSamePath(_ a: ArraySlice<Branch>, _ b: ArraySlice<Branch>) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0.from == $1.from && $0.to == $1.to }
    }

    /// A rolling hash of each sequence of `length` branches (a polynomial modulo 2^64).
    private static func windowHashes(_ branches: [Branch], _ length: Int) -> [UInt64] {
        let factor: UInt64 = 0x9e37_79b9_7f4a_7c15
        var power: UInt64 = 1
        for _ in 0..<length { power = power &* factor }
        func value(_ branch: Branch) -> UInt64 {
            let mixed = (branch.from ^ (branch.to << 31 | branch.to >> 33)) &* 0xbf58_476d_1ce4_e5b9
            return mixed ^ (mixed >> 29)
        }
        var hash: UInt64 = 0
        var hashes: [UInt64] = []
        for (index, branch) in branches.enumerated() {
            hash = hash &* factor &+ value(branch)
            if index >= length { hash = hash &- value(branches[index - length]) &* power }
            if index >= length - 1 { hashes.append(hash) }
        }
        return hashes
    }
}
