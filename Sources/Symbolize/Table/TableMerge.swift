// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The memory of a table that was built: freed with it.
final class TableMemory: @unchecked Sendable {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit {
        for block in blocks { free(block) }
    }

    /// Room for elements, uninitialised. Pages that are never written cost nothing.
    ///
    /// Large ones are asked for in huge pages: addresses looked up at random would find no small page's translation.
    func allocate<Element: BitwiseCopyable>(_ count: Int, _: Element.Type) -> UnsafeMutablePointer<Element> {
        let size = max(count, 1) * MemoryLayout<Element>.stride
        let isLarge = size >= 2 * TableMemory.hugePage
        var block: UnsafeMutableRawPointer?
        guard posix_memalign(&block, isLarge ? TableMemory.hugePage : 64, size) == 0, let block else {
            fatalError("out of memory: \(count) elements of a symbol table")
        }
        if isLarge { madvise(block, size, MADV_HUGEPAGE) }
        blocks.append(block)
        return block.bindMemory(to: Element.self, capacity: count)
    }

    private static let hugePage = 1 << 21

    /// A copy of an array.
    func keep<Element: BitwiseCopyable>(_ array: [Element]) -> SymbolTable.Column<Element> {
        let target = allocate(array.count, Element.self)
        array.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { target.update(from: start, count: source.count) }
        }
        return SymbolTable.Column(start: UnsafePointer(target), count: array.count)
    }
}

/// Lays the boundaries of symbols, functions and lines over each other: segments, and the index that finds them.
struct TableMerge {
    private let starts: UnsafeMutablePointer<UInt64>
    private let segments: UnsafeMutablePointer<SymbolTable.Segment>
    private var count = 0
    /// The memory of what is not part of the table.
    private let scratch = TableMemory()

    /// - Parameter capacity: no more boundaries than this.
    init(capacity: Int, memory: TableMemory) {
        starts = scratch.allocate(capacity + 1, UInt64.self)
        segments = memory.allocate(capacity + 1, SymbolTable.Segment.self)
    }

    var segmentColumn: SymbolTable.Column<SymbolTable.Segment> {
        .init(start: UnsafePointer(segments), count: count)
    }

    mutating func run(_ bySymbol: [Boundary], _ byNode: [Boundary], _ byLine: [LineRow]) {
        var (s, n, l) = (0, 0, 0)
        var current = SymbolTable.Segment.empty
        bySymbol.withUnsafeBufferPointer { bySymbol in
            byNode.withUnsafeBufferPointer { byNode in
                byLine.withUnsafeBufferPointer { byLine in
                    while s < bySymbol.count || n < byNode.count || l < byLine.count {
                        let symbolLow = s < bySymbol.count ? bySymbol[s].low : .max
                        let nodeLow = n < byNode.count ? byNode[n].low : .max
                        let lineLow = l < byLine.count ? byLine[l].address : .max
                        let low = min(symbolLow, nodeLow, lineLow)
                        var next = current
                        if s < bySymbol.count, symbolLow == low {
                            next.symbol = bySymbol[s].value
                            s &+= 1
                        }
                        if n < byNode.count, nodeLow == low {
                            next.node = byNode[n].value
                            n &+= 1
                        }
                        if l < byLine.count, lineLow == low {
                            (next.file, next.line) = (byLine[l].file, byLine[l].line)
                            l &+= 1
                        }
                        if next != current { append(low, next) }
                        current = next
                    }
                }
            }
        }
        if current != .empty { append(.max, .empty) }
    }

    private mutating func append(_ low: UInt64, _ segment: SymbolTable.Segment) {
        starts[count] = low
        segments[count] = segment
        count &+= 1
    }

    /// The index of the segments, cut into regions where it would be empty for long.
    func index(_ memory: TableMemory) -> (
        regions: [SymbolTable.Region], blocks: SymbolTable.Column<SymbolTable.Block>
    ) {
        let largestGap = largestGap
        var regions: [SymbolTable.Region] = []
        var blockCount = 0
        var first = 0
        while first < count {
            var end = first &+ 1
            while end < count, starts[end] &- starts[end &- 1] <= largestGap { end &+= 1 }
            let size = Int((starts[end &- 1] &- starts[first]) &>> SymbolTable.Block.shift) &+ 1
            // The last segment of all says that nothing is known any more.
            let next = end < count ? starts[end] : starts[end &- 1] &+ 1
            regions.append(
                SymbolTable.Region(
                    base: starts[first], span: max(next, starts[end &- 1]) &- starts[first],
                    firstSegment: UInt32(truncatingIfNeeded: first),
                    segmentCount: UInt32(truncatingIfNeeded: end &- first),
                    firstBlock: UInt32(truncatingIfNeeded: blockCount), blockCount: UInt32(truncatingIfNeeded: size)))
            blockCount &+= size
            first = end
        }
        let blocks = memory.allocate(blockCount, SymbolTable.Block.self)
        for region in regions { fill(blocks + Int(region.firstBlock), region) }
        return (regions, SymbolTable.Column(start: UnsafePointer(blocks), count: blockCount))
    }

    private func fill(_ blocks: UnsafeMutablePointer<SymbolTable.Block>, _ region: SymbolTable.Region) {
        var filled = 0
        for index in region.firstSegment..<region.firstSegment &+ region.segmentCount {
            let offset = starts[Int(index)] &- region.base
            let block = Int(offset &>> SymbolTable.Block.shift)
            while filled <= block {
                blocks[filled] = SymbolTable.Block(starts: 0, first: index)
                filled &+= 1
            }
            blocks[block].starts |= 1 &<< (offset & 63)
        }
    }

    /// Starts that lie further apart are in two regions: as much as leaves the index a few times the table's size.
    private var largestGap: UInt64 {
        // How many blocks lie between starts that are 1 << n to 1 << (n + 1) bytes apart.
        var blocks = [UInt64](repeating: 0, count: 64)
        for index in stride(from: 1, to: count, by: 1) {
            let gap = starts[index] &- starts[index &- 1]
            blocks[63 &- min(gap.leadingZeroBitCount, 63)] &+= min(gap &>> SymbolTable.Block.shift, 1 << 32) &+ 1
        }
        let limit = UInt64(count) &* 4 &+ 1 << 16
        var total: UInt64 = 0
        for power in 0..<64 {
            total &+= blocks[power]
            if total > limit { return 1 &<< UInt64(power) &- 1 }
        }
        return .max
    }
}
