// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import Symbolize

/// Lists the function in which two runs part, with the lines that each side ran after the last common branch.
///
/// Code between the target of one branch and the origin of the next one runs in a straight line.
struct SourceListingMaker {
    let tree: SourceTree
    let original: Symbolizer
    let replay: Symbolizer

    /// Bytes of a straight stretch, and of a function, that are looked up.
    private static let byteLimit: UInt64 = 1 << 13
    /// Branches of each side that are followed.
    private static let branchLimit = 64
    /// Lines that are shown on each side of the place.
    private static let reach = 60
    /// Lines that are shown around those of the function.
    private static let margin = 2

    /// The listing of a divergence; nil if its sources are not found.
    func listing(_ divergence: Divergence) -> DivergenceDocument.SourceListing? {
        let context = divergence.context
        let nexts = (context.original.nextBranches, context.replay.nextBranches)
        let origins = [nexts.0.first?.from, nexts.1.first?.from].compactMap { $0 }
        // The runs part at the branch that only one of them takes: the one at the lower address.
        let ips = [divergence.original.ip, divergence.replay.ip].compactMap { $0 }
        guard let place = (divergence.difference?.stream == .branch ? origins.min() : nil) ?? ips.first,
            let function = original.symbolize(place)?.frames.first, let file = function.file,
            let source = tree.lines(of: file)
        else { return nil }
        let start = context.lastBranches.last?.to
        let own = lines(of: start.map { straight($0, nexts.0, original, file) } ?? [place], original, file)
        let other = lines(of: start.map { straight($0, nexts.1, replay, file) } ?? [place], replay, file)
        let here = line(place, original, file)
        let all = own.union(other).union(lines(of: self.function(place, function), original, file))
            .union([here].compactMap { $0 })
        guard let first = all.min(), let last = all.max() else { return nil }
        let middle = here ?? first
        let from = max(1, first - Self.margin, middle - Self.reach)
        let to = min(source.lines.count, last + Self.margin, middle + Self.reach)
        guard from <= to else { return nil }
        return DivergenceDocument.SourceListing(
            file: file, path: source.path, function: function.displayedFunction,
            lines: (from...to).map { number in
                DivergenceDocument.SourceListing.Line(
                    number: number, text: SourceTree.shown(source.lines[number - 1]), original: own.contains(number),
                    replay: other.contains(number), isDivergence: number == here)
            })
    }

    /// The addresses that a side ran after the last common branch, in straight stretches, up to the first branch that
    /// leaves the file.
    private func straight(
        _ start: UInt64, _ branches: [Branch], _ names: Symbolizer, _ file: String
    ) -> [UInt64] {
        var addresses: [UInt64] = []
        var from = start
        for branch in branches.prefix(Self.branchLimit) {
            guard from <= branch.from, branch.from - from < Self.byteLimit, line(from, names, file) != nil else {
                break
            }
            addresses += from...branch.from
            from = branch.to
        }
        return addresses
    }

    /// The addresses of the function that contains a place.
    private func function(_ place: UInt64, _ frame: SourceFrame) -> [UInt64] {
        let range = original.functionRanges(named: frame.function).first { $0.contains(place) }
        guard let range, range.upperBound - range.lowerBound <= Self.byteLimit else { return [] }
        return Array(range)
    }

    private func lines(of addresses: [UInt64], _ names: Symbolizer, _ file: String) -> Set<Int> {
        Set(addresses.compactMap { line($0, names, file) })
    }

    /// The line of an address in a file: that of the innermost function which is in the file.
    private func line(_ address: UInt64, _ names: Symbolizer, _ file: String) -> Int? {
        names.symbolize(address)?.frames.first { $0.file == file && $0.line > 0 }?.line
    }
}
