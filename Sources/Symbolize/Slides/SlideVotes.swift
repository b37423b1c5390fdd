// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// Where the functions of a file begin.
struct FunctionEntries {
    /// Ascending, each once; the file's own addresses.
    let addresses: [UInt64]
    private let table: SymbolTable
    private let stubs: [UInt64]

    /// - Parameter stubs: The linker's stubs for calls to other files, ascending (``ELFImage/stubs``): calls go to
    ///   their beginnings, too.
    init(_ table: SymbolTable, stubs: [UInt64] = []) {
        self.table = table
        self.stubs = stubs
        let symbols = table.view.symbols
        var addresses: [UInt64] = []
        var last: UInt64?
        for index in 0..<symbols.count where symbols[index].address != last {
            addresses.append(symbols[index].address)
            last = addresses.last
        }
        self.addresses = stubs.isEmpty ? addresses : Array(Set(addresses + stubs)).sorted()
    }

    private func contains(_ address: UInt64) -> Bool {
        let index = addresses.firstIndex(notBelow: address)
        return index < addresses.count && addresses[index] == address
    }

    /// How many of the targets lie in functions of the file at this slide, and at the beginning of one. Code without a
    /// symbol says nothing.
    func fit(_ targets: [UInt64], slide: UInt64) -> SlideEstimate {
        var result = SlideEstimate(slide: Int64(bitPattern: slide), targets: 0, entries: 0, runnerUp: 0)
        var index = targets.firstIndex(notBelow: table.low &+ slide)
        let size = table.high &- table.low
        while index < targets.count {
            let own = targets[index] &- slide
            guard own &- table.low < size else { break }
            index += 1
            let isEntry = contains(own)
            guard isEntry || table.view.segment(at: own).symbol != Boundary.none else { continue }
            result.targets += 1
            if isEntry { result.entries += 1 }
        }
        return result
    }
}

extension [UInt64] {
    /// In an ascending array, the first element that is not smaller.
    fileprivate func firstIndex(notBelow value: UInt64) -> Int {
        partitioningIndex { $0 >= value }
    }
}

/// What call targets say about the slide of a file: for each target and each function at the same place within the
/// alignment one vote.
struct SlideVotes {
    struct Vote: BitwiseCopyable {
        var slide: UInt64
        var count: Int
    }

    /// Of many slides no more than this are looked at more closely.
    static let examined = 1 << 14

    /// Votes that are counted at most; of more targets than that allows, some evenly spread ones are taken.
    private static let limit = 2_000_000

    /// All slides that got a vote, most votes first; of equal ones the smaller slide, upwards first: what was not moved
    /// counts as not moved.
    let ranked: [Vote]

    /// - Parameter targets: ascending, each once.
    init(_ entries: FunctionEntries, _ targets: [UInt64], alignment: UInt64) {
        let mask = alignment &- 1
        let shift = UInt64(max(0, alignment.trailingZeroBitCount - 17))
        // Chains of the functions at about the same place within the alignment.
        var heads = [Int32](repeating: -1, count: Int(mask >> shift) + 1)
        var next = [Int32](repeating: -1, count: entries.addresses.count)
        for (index, address) in entries.addresses.enumerated() {
            let bucket = Int((address & mask) >> shift)
            next[index] = heads[bucket]
            heads[bucket] = Int32(truncatingIfNeeded: index)
        }
        // Most functions are at multiples of 16.
        let perTarget = entries.addresses.count / max(1, Int(alignment / 16)) + 1
        let count = min(targets.count, max(SlideVotes.limit / perTarget, 1))
        var slides: [UInt64] = []
        for step in 0..<count where slides.count < SlideVotes.limit {
            let target = targets[step * targets.count / count]
            var index = heads[Int((target & mask) >> shift)]
            while index >= 0 {
                let entry = entries.addresses[Int(index)]
                if (entry ^ target) & mask == 0 { slides.append(target &- entry) }
                index = next[Int(index)]
            }
        }
        slides.sort()
        var votes: [Vote] = []
        for slide in slides {
            if votes.last?.slide == slide {
                votes[votes.count - 1].count += 1
            } else {
                votes.append(Vote(slide: slide, count: 1))
            }
        }
        ranked = votes.sorted { ($1.count, $0.slide) < ($0.count, $1.slide) }
    }
}
