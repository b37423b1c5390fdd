// SPDX-License-Identifier: GPL-2.0-or-later

extension SymbolTable.View {
    /// Calls `body` with each segment, in order, and the addresses of the file that it holds for; never with none. What a
    /// hostile table says twice comes once at most: the walk goes through no more blocks than there are.
    func forEachSegment(_ body: (_ low: UInt64, _ high: UInt64, _ segment: Segment) throws -> Void) rethrows {
        var blocksLeft = blocks.count
        for number in 0..<regions.count {
            let region = regions[number]
            var open: (low: UInt64, segment: Segment)?
            for block in 0..<region.blockCount {
                guard blocksLeft > 0, let found = blocks[checked: region.firstBlock &+ block] else { break }
                blocksLeft -= 1
                var (starts, index) = (found.starts, found.first)
                let base = region.base &+ UInt64(block) &<< SymbolTable.Block.shift
                while starts != 0 {
                    let low = base &+ UInt64(starts.trailingZeroBitCount)
                    if let open, open.low < low { try body(open.low, low, open.segment) }
                    open = segments[checked: index].map { (low, $0) }
                    starts &= starts &- 1
                    index &+= 1
                }
            }
            let end = region.base &+ region.span
            if let open, open.low < end { try body(open.low, end, open.segment) }
        }
    }
}
