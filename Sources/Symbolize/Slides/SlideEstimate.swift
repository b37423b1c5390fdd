// SPDX-License-Identifier: GPL-2.0-or-later

/// Where a file may have been loaded, judged by the calls of a log: ``Symbolizer/estimateSlide(module:targets:alignment:)``.
public struct SlideEstimate: Hashable, Sendable {
    /// What to add to the file's addresses.
    public var slide: Int64
    /// Distinct call targets that lie in functions of the file with this slide.
    public var targets: Int
    /// How many of them are the first byte of a function.
    public var entries: Int
    /// How many targets hit a function with the next best slide of those that exclude this one.
    public var runnerUp: Int

    /// The share of the targets that fits, from 0 to 1.
    public var share: Double { targets == 0 ? 0 : Double(entries) / Double(targets) }

    /// Fewer targets than this decide nothing.
    public static let fewest = 16

    /// Whether the answer can be relied on: enough targets, most of them fit, and no other slide comes near.
    public var isReliable: Bool {
        entries >= SlideEstimate.fewest && share >= 0.8 && runnerUp * 4 <= entries
    }

    /// Fewer targets than this decide nothing about a further place of a file that was found at one.
    static let fewestOfMore = 4

    /// Whether the answer can be relied on for a further place of a file that was found at one: all of a few targets fit.
    var isReliableOfMore: Bool {
        entries >= SlideEstimate.fewestOfMore && entries == targets && runnerUp * 2 <= entries
    }

    /// Whether names with this slide would be nonsense: there are enough targets, and most are within functions.
    public var isWrong: Bool { targets >= SlideEstimate.fewest && share < 0.5 }
}

extension Symbolizer {
    /// How well call targets fit a file with a slide. ``SlideEstimate/runnerUp`` is 0: no other slide is looked at.
    ///
    /// - Parameters:
    ///   - module: The file, an index into ``modules``; the slide that it was added with plays no part.
    ///   - targets: Where calls of a log went, addresses of the run, ascending, each once.
    /// - Returns: `nil` if there is no such module.
    public func fit(module: Int, targets: [UInt64], slide: Int64) -> SlideEstimate? {
        entries(module)?.fit(targets, slide: UInt64(bitPattern: slide))
    }

    /// The slide with which most call targets of a log are beginnings of functions.
    ///
    /// Each target, taken together with each function at the same place within `alignment`, is a vote for one slide;
    /// the true slide gets nearly all targets, any other one only chance hits. Calls into other programs add noise, not
    /// bias.
    ///
    /// - Parameters:
    ///   - module: The file, an index into ``modules``; the slide that it was added with plays no part.
    ///   - targets: Where calls of a log went, addresses of the run, ascending, each once.
    ///   - alignment: What slides are multiples of, a power of two; Linux on x86-64: 2 MiB.
    /// - Returns: `nil` if no call target could be a function of the file.
    public func estimateSlide(module: Int, targets: [UInt64], alignment: UInt64 = 0x20_0000) -> SlideEstimate? {
        guard let entries = entries(module), alignment.nonzeroBitCount == 1 else { return nil }
        let votes = SlideVotes(entries, targets, alignment: alignment)
        guard let best = votes.ranked.first else { return nil }
        var found = entries.fit(targets, slide: best.slide)
        found.runnerUp = votes.ranked.count > 1 ? votes.ranked[1].count : 0
        return found
    }

    /// The slides at which a file ran, where it ran at several: a position-independent program, each time elsewhere.
    ///
    /// - Parameters:
    ///   - module: The file, an index into ``modules``; the slide that it was added with plays no part.
    ///   - targets: Where calls of a log went, addresses of the run, ascending, each once.
    ///   - alignment: What slides are multiples of, a power of two; programs: the size of a page.
    ///   - limit: No more than so many.
    /// - Returns: Reliable ones, of which none overlaps another, best first; and of what is not reliable the best, when
    ///   there is nothing else.
    public func estimateSlides(
        module: Int, targets: [UInt64], alignment: UInt64 = 0x1000, limit: Int = 4096
    ) -> (reliable: [SlideEstimate], best: SlideEstimate?) {
        guard let table = symbolTable(module), let entries = entries(module), alignment.nonzeroBitCount == 1 else {
            return ([], nil)
        }
        let votes = SlideVotes(entries, targets, alignment: alignment).ranked.prefix(SlideVotes.examined)
        let size = table.high &- table.low
        func exclude(_ one: UInt64, _ other: UInt64) -> Bool { min(one &- other, other &- one) < size }
        var found: [SlideEstimate] = []
        var best: SlideEstimate?
        for (index, vote) in votes.enumerated() where found.count < limit {
            guard vote.count >= (found.isEmpty ? SlideEstimate.fewest : SlideEstimate.fewestOfMore) || best == nil
            else {
                break
            }
            if found.contains(where: { exclude(UInt64(bitPattern: $0.slide), vote.slide) }) { continue }
            var estimate = entries.fit(targets, slide: vote.slide)
            // They come best first: those before it that exclude it were not reliable, and may have more.
            let rival = votes.indices.first { $0 != index && exclude(votes[$0].slide, vote.slide) }
            estimate.runnerUp = rival.map { votes[$0].count } ?? 0
            best = best ?? estimate
            if estimate.isReliable || (!found.isEmpty && estimate.isReliableOfMore) { found.append(estimate) }
        }
        return (found, best)
    }

    private func entries(_ module: Int) -> FunctionEntries? {
        guard let table = symbolTable(module) else { return nil }
        let stubs = (try? ELFImage(path: modules[module].path, machine: nil))?.stubs
        return FunctionEntries(table, stubs: stubs ?? [])
    }
}
