// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The memory of a table that was built: freed with it.
final class TableMemory: @unchecked Sendable {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit {
        for block in blocks { free(block) }
    }

    /// Room for elements, uninitialised. Pages that are never written cost nothing.
    func allocate<Element: BitwiseCopyable>(_ count: Int, _: Element.Type) -> UnsafeMutablePointer<Element> {
        guard let block = malloc(max(count, 1) * MemoryLayout<Element>.stride) else {
            fatalError("out of memory: \(count) elements of a symbol table")
        }
        blocks.append(block)
        return block.bindMemory(to: Element.self, capacity: count)
    }

    /// A copy of an array.
    func keep<Element: BitwiseCopyable>(_ array: [Element]) -> SymbolTable.Column<Element> {
        let target = allocate(array.count, Element.self)
        array.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { target.update(from: start, count: source.count) }
        }
        return SymbolTable.Column(start: UnsafePointer(target), count: array.count)
    }
}

/// Lays the boundaries of symbols, functions and lines over each other: starts and segments, cut into regions.
struct TableMerge {
    private(set) var regions: [SymbolTable.Region] = []
    private let starts: UnsafeMutablePointer<UInt32>
    private let segments: UnsafeMutablePointer<SymbolTable.Segment>
    private var count = 0

    /// - Parameter capacity: no more boundaries than this.
    init(capacity: Int, memory: TableMemory) {
        // Where a region has to end in the middle of a segment, the segment is there twice.
        starts = memory.allocate(capacity * 2 + 2, UInt32.self)
        segments = memory.allocate(capacity * 2 + 2, SymbolTable.Segment.self)
    }

    var startColumn: SymbolTable.Column<UInt32> { .init(start: UnsafePointer(starts), count: count) }
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
        if let region = regions.last {
            let last = region.base &+ UInt64(starts[count &- 1])
            let isFar = low &- last > SymbolTable.largestGap || low &- region.base > UInt64(UInt32.max)
            if isFar {
                close(at: low)
            } else {
                starts[count] = UInt32(truncatingIfNeeded: low &- region.base)
                segments[count] = segment
                count &+= 1
                regions[regions.count &- 1].startCount &+= 1
                regions[regions.count &- 1].span = low &- region.base &+ 1
                return
            }
        }
        guard segment != .empty else { return }
        regions.append(
            SymbolTable.Region(
                base: low, span: 1, firstStart: UInt32(truncatingIfNeeded: count), startCount: 1, firstBucket: 0,
                bucketCount: 0, shift: 6))
        starts[count] = 0
        segments[count] = segment
        count &+= 1
    }

    /// Ends the last region at `address` at the latest; its last segment holds until there.
    private mutating func close(at address: UInt64) {
        guard let region = regions.last, segments[count &- 1] != .empty else { return }
        regions[regions.count &- 1].span = min(address &- region.base, UInt64(UInt32.max))
    }

    /// Buckets of 64 bytes, or larger ones where the addresses are spread so far that those would outweigh the table.
    /// Sets the regions' parts of them.
    mutating func buckets() -> [UInt32] {
        var buckets: [UInt32] = []
        for number in regions.indices {
            var region = regions[number]
            let limit = UInt64(region.startCount) &* 4 &+ 1024
            while (region.span &- 1) &>> UInt64(region.shift) >= limit { region.shift &+= 1 }
            region.firstBucket = UInt32(truncatingIfNeeded: buckets.count)
            let end = Int(region.firstStart) &+ Int(region.startCount)
            var index = Int(region.firstStart)
            for bucket in 0...((region.span &- 1) &>> UInt64(region.shift)) {
                let offset = bucket &<< UInt64(region.shift)
                while index &+ 1 < end, UInt64(starts[index &+ 1]) <= offset { index &+= 1 }
                buckets.append(UInt32(truncatingIfNeeded: index))
            }
            region.bucketCount = UInt32(truncatingIfNeeded: buckets.count) &- region.firstBucket
            regions[number] = region
        }
        return buckets
    }
}
