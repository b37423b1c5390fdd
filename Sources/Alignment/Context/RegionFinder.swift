// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Continues the comparison after a divergence: finds where the runs take the same path again, and where they differ
/// next, as a diff does.
struct RegionFinder {
    let original: LogFile
    let replay: LogFile
    let stretch: BranchComparison.Stretch
    let vcpu: UInt16

    /// Regions that are listed.
    static let regionLimit = 64
    /// Branches of the original that are compared.
    static let branchLimit: UInt64 = 1 << 22
    /// Branches of each side that are searched for a common path, in growing windows.
    private static let windows: [UInt64] = [1 << 9, 1 << 12, 1 << 14, 1 << 16]

    /// Compares the paths from a clock of the original on, which is in the stretch.
    func find(from clock: UInt64) throws(LogError) -> PathComparison {
        var result = PathComparison()
        guard stretch.original.clocks.contains(clock) else { return result }
        let ends = (LogExtent(original, vcpu: vcpu).endClock, LogExtent(replay, vcpu: vcpu).endClock)
        var places = (clock, clock &+ stretch.skew.clock)
        result.agreedBefore = try agree(&places, ends, clock)
        while places.0 < ends.0, places.1 < ends.1 {
            guard result.regions.count < RegionFinder.regionLimit, places.0 - clock < RegionFinder.branchLimit else {
                result.isCut = true
                break
            }
            guard let (i, j) = try meeting(places, ends, &result) else {
                result.openRegion = DifferingRegion(
                    original: places.0..<max(places.0, ends.0), replay: places.1..<max(places.1, ends.1))
                break
            }
            var region = DifferingRegion(
                original: places.0..<(places.0 + i), replay: places.1..<(places.1 + j))
            places = (places.0 + i, places.1 + j)
            region.instructionShift = try instructionShift(places)
            region.agreed = try agree(&places, ends, clock)
            result.regions.append(region)
        }
        return result
    }

    /// Skips equal branches. Returns their number.
    private func agree(
        _ places: inout (UInt64, UInt64), _ ends: (UInt64, UInt64), _ clock: UInt64
    ) throws(LogError) -> UInt64 {
        guard stretch.original.clocks.contains(places.0), stretch.replay.clocks.contains(places.1) else { return 0 }
        var a = BranchSide(original, stretch.original, at: places.0)
        var b = BranchSide(replay, stretch.replay, at: places.1)
        var agreed: UInt64 = 0
        while !a.isAtEnd, !b.isAtEnd, a.clock < ends.0, b.clock < ends.1 {
            let limit = min(ends.0 - a.clock, ends.1 - b.clock)
            if a.isAtChunkStart, b.isAtChunkStart, a.chunk.count == b.chunk.count, UInt64(a.chunk.count) <= limit,
                a.chunk.digests.path == b.chunk.digests.path
            {
                agreed += UInt64(a.chunk.count)
                a.skipChunk()
                b.skipChunk()
                continue
            }
            if a.clock - clock > RegionFinder.branchLimit { break }
            do throws(LogError) {
                try a.decode()
                try b.decode()
            } catch {
                if error.isTrouble { throw error }
                break
            }
            let count = min(a.columns.count, b.columns.count, Int(clamping: limit))
            let equal = BranchColumns.firstPathDifference(a.columns, b.columns, count: count)
            agreed += UInt64(equal)
            a.advance(equal)
            b.advance(equal)
            if equal < count { break }
        }
        places = (a.clock, b.clock)
        return agreed
    }

    /// The smallest numbers of branches to skip on both sides to a common path; nil if none is found.
    private func meeting(
        _ places: (UInt64, UInt64), _ ends: (UInt64, UInt64), _ result: inout PathComparison
    ) throws(LogError) -> (UInt64, UInt64)? {
        for window in RegionFinder.windows {
            let a = try ContentSearch.read(original, stretch.original, range(places.0, window, ends.0))
            let b = try ContentSearch.read(replay, stretch.replay, range(places.1, window, ends.1))
            result.branchesSearched = UInt64(min(a.count, b.count))
            if let found = ContentSearch.meeting(a, b) { return (UInt64(found.a), UInt64(found.b)) }
            if a.count < window, b.count < window { break }
        }
        return nil
    }

    private func range(_ start: UInt64, _ count: UInt64, _ end: UInt64) -> Range<UInt64> {
        let (sum, overflows) = start.addingReportingOverflow(count)
        return start..<max(start, min(end, overflows ? .max : sum))
    }

    /// The replay's instruction count minus the original's at two places; nil if the logs count none.
    private func instructionShift(_ places: (UInt64, UInt64)) throws(LogError) -> Int64? {
        guard original.header.features.contains(.icount), replay.header.features.contains(.icount),
            let a = try ContentSearch.read(original, stretch.original, places.0..<(places.0 + 1)).first,
            let b = try ContentSearch.read(replay, stretch.replay, places.1..<(places.1 + 1)).first
        else { return nil }
        return Int64(bitPattern: b.icount &- a.icount &- stretch.skew.icount)
    }
}
