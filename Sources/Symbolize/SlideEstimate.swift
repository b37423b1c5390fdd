// SPDX-License-Identifier: GPL-2.0-or-later

/// Where a kernel was loaded (KASLR), judged by the calls of a log: ``Symbolizer/estimateSlide(module:calls:alignment:)``.
public struct SlideEstimate: Hashable, Sendable {
    /// What to add to the file's addresses.
    public var slide: Int64
    /// Distinct call targets that lie in the file's code with this slide.
    public var targets: Int
    /// How many of them are the first byte of a function.
    public var entries: Int
    /// How many targets hit a function with the next best slide.
    public var runnerUp: Int

    /// The share of the targets that fits, from 0 to 1.
    public var share: Double { targets == 0 ? 0 : Double(entries) / Double(targets) }

    /// Whether the answer can be relied on: enough targets, most of them fit, and no other slide comes near.
    public var isReliable: Bool { entries >= 16 && share >= 0.8 && runnerUp * 4 <= entries }
}

extension Symbolizer {
    /// The slide with which most call targets of a log are beginnings of functions.
    ///
    /// Each target, taken together with each function at the same place within `alignment`, is a vote for one slide;
    /// the true slide gets nearly all targets, any other one only chance hits. Calls into other programs add noise, not
    /// bias.
    ///
    /// - Parameters:
    ///   - module: The file, an index into ``modules``; the slide that it was added with plays no part.
    ///   - calls: Call instructions and where they went, addresses of the run. At most 65,536 distinct targets are
    ///     looked at.
    ///   - alignment: What slides are multiples of, a power of two; Linux on x86-64: 2 MiB.
    /// - Returns: `nil` when no call target could be a function of the file.
    public func estimateSlide(
        module: Int, calls: some Sequence<(from: UInt64, to: UInt64)>, alignment: UInt64 = 0x20_0000
    ) -> SlideEstimate? {
        guard let table = table(module), alignment.nonzeroBitCount == 1 else { return nil }
        var targets: Set<UInt64> = []
        for call in calls {
            targets.insert(call.to)
            if targets.count == 1 << 16 { break }
        }
        var addresses: Set<UInt64> = []
        for index in 0..<table.view.symbols.count { addresses.insert(table.view.symbols[index].address) }
        var entriesAt: [UInt64: [UInt64]] = [:]
        for address in addresses { entriesAt[address & (alignment - 1), default: []].append(address) }
        var votes: [UInt64: Int] = [:]
        for target in targets {
            for entry in entriesAt[target & (alignment - 1)] ?? [] { votes[target &- entry, default: 0] += 1 }
        }
        // Of equal slides the smaller one, upwards: what was not moved counts as not moved.
        guard let best = votes.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }) else { return nil }
        let size = table.high &- table.low
        return SlideEstimate(
            slide: Int64(bitPattern: best.key),
            targets: targets.count { $0 &- best.key &- table.low < size }, entries: best.value,
            runnerUp: votes.lazy.filter { $0.key != best.key }.map(\.value).max() ?? 0)
    }
}
