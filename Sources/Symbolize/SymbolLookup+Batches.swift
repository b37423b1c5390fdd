// SPDX-License-Identifier: GPL-2.0-or-later

/// Many addresses at once.
extension SymbolLookup {
    /// What each of many addresses is, in any order; `hits` must be as long as `addresses`.
    ///
    /// Goes step by step through a batch at a time, and asks for what the next step reads: so the memory accesses of
    /// many addresses are under way at once.
    public func find(_ addresses: UnsafeBufferPointer<UInt64>, into hits: UnsafeMutableBufferPointer<SymbolHit>) {
        let count = min(addresses.count, hits.count)
        guard let source = addresses.baseAddress, let target = hits.baseAddress else { return }
        var first = 0
        while first < count {
            let size = min(SymbolLookup.batchSize, count &- first)
            findBatch(source + first, size, into: target + first)
            first &+= size
        }
    }

    /// A batch: what lies in the same region of the same file as the first address that any file knows goes through
    /// together.
    private func findBatch(
        _ addresses: UnsafePointer<UInt64>, _ count: Int, into hits: UnsafeMutablePointer<SymbolHit>
    ) {
        var found: (piece: Piece, region: Int)?
        for at in 0..<count where found == nil {
            guard let piece = piece(addresses[at]) else { continue }
            let candidate = candidates[Int(piece.first)]
            found = candidate.table.region(of: addresses[at] &- candidate.slide).map { (piece, $0) }
        }
        guard let (piece, number) = found else {
            for at in 0..<count { hits[at] = find(addresses[at]) }
            return
        }
        let candidate = candidates[Int(piece.first)]
        let table = candidate.table
        let region = table.regions[number]
        let base = candidate.slide &+ region.base
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: count) { indices in
            for at in 0..<count { table.blocks.prefetch(table.block(addresses[at] &- base, in: region)) }
            for at in 0..<count {
                let address = addresses[at]
                let isInside = address >= piece.low && address < piece.high && address &- base < region.span
                indices[at] = isInside ? table.index(address &- base, in: region) ?? .max : .max
                table.segments.prefetch(indices[at])
            }
            for at in 0..<count {
                let segment = table.segments[checked: indices[at]] ?? .empty
                if segment != .empty {
                    hits[at] = SymbolHit(
                        address: addresses[at] &- candidate.slide, module: candidate.module, symbol: segment.symbol,
                        node: segment.node, file: segment.file, line: segment.line)
                } else if indices[at] != .max && piece.count == 1 {
                    hits[at] = .unknown
                } else {
                    hits[at] = find(addresses[at])
                }
            }
        }
    }

    /// As many as the first-level cache has room for.
    static let batchSize = 64

    /// The same for addresses in ascending order, of which many may lie side by side: as long as they stay in the segment
    /// that a batch ended in, nothing is looked up.
    public func find(
        sorted addresses: UnsafeBufferPointer<UInt64>, into hits: UnsafeMutableBufferPointer<SymbolHit>
    ) {
        let count = min(addresses.count, hits.count)
        var (last, room): (UInt64, UInt64) = (0, 0)
        var hit = SymbolHit.unknown
        var index = 0
        while index < count {
            if addresses[index] &- last < room {
                room &-= addresses[index] &- last
                hit.address &+= addresses[index] &- last
                last = addresses[index]
                hits[index] = hit
                index &+= 1
                continue
            }
            let batch = index..<min(index &+ SymbolLookup.batchSize, count)
            find(UnsafeBufferPointer(rebasing: addresses[batch]), into: .init(rebasing: hits[batch]))
            index = batch.upperBound
            (last, hit) = (addresses[index &- 1], hits[index &- 1])
            room = self.room(at: last, hit)
        }
    }

    /// How many addresses from this one on have the same answer, or fewer; 0 where nothing is known.
    private func room(at address: UInt64, _ hit: SymbolHit) -> UInt64 {
        guard hit.isKnown, let piece = piece(address) else { return 0 }
        var room = piece.high &- address
        for index in Int(piece.first)..<Int(piece.first &+ piece.count) {
            room = min(room, candidates[index].table.room(after: address &- candidates[index].slide))
            // Those after it have no say.
            if candidates[index].module == hit.module { break }
        }
        return room
    }

    /// The same for arrays; hits in the order of the addresses.
    public func find(_ addresses: [UInt64]) -> [SymbolHit] {
        [SymbolHit](unsafeUninitializedCapacity: addresses.count) { hits, count in
            addresses.withUnsafeBufferPointer { find($0, into: hits) }
            count = addresses.count
        }
    }

    // MARK: - Chains

    /// The inline chains of many hits, one after the other: each frame with the index of its hit.
    ///
    /// Goes through a batch at a time as ``find(_:into:)`` does.
    public func forEachFrame(_ hits: UnsafeBufferPointer<SymbolHit>, _ body: (Int, FrameHit) -> Void) {
        var first = 0
        while first < hits.count {
            let batch = first..<min(first &+ SymbolLookup.batchSize, hits.count)
            prefetchChains(UnsafeBufferPointer(rebasing: hits[batch]))
            for index in batch { forEachFrame(hits[index]) { body(index, $0) } }
            first = batch.upperBound
        }
    }

    /// Asks for the first two functions of each chain.
    private func prefetchChains(_ hits: UnsafeBufferPointer<SymbolHit>) {
        for hit in hits where hit.isKnown { tables[Int(hit.module)].nodes.prefetch(hit.node) }
        for hit in hits where hit.isKnown {
            let nodes = tables[Int(hit.module)].nodes
            if let node = nodes[checked: hit.node] { nodes.prefetch(node.parent) }
        }
    }

    /// Asks for what the texts of the first function of each chain are made of.
    ///
    /// - Parameters:
    ///   - callers: Also for those of the second one.
    ///   - starts: Also for where the functions begin.
    func prefetchTexts(_ hits: UnsafeBufferPointer<SymbolHit>, callers: Bool, starts: Bool) {
        for hit in hits where hit.isKnown {
            let table = tables[Int(hit.module)]
            table.nodes.prefetch(hit.node)
            table.names.prefetch(hit.file)
            if starts { table.lows.prefetch(hit.node) }
        }
        for hit in hits where hit.isKnown {
            let table = tables[Int(hit.module)]
            guard let node = table.nodes[checked: hit.node] else { continue }
            table.names.prefetch(node.name)
            guard callers, node.isInlined else { continue }
            table.nodes.prefetch(node.parent)
            table.names.prefetch(node.callFile)
            if starts { table.lows.prefetch(node.parent) }
        }
        guard callers else { return }
        for hit in hits where hit.isKnown {
            let table = tables[Int(hit.module)]
            guard let node = table.nodes[checked: hit.node], let caller = table.nodes[checked: node.parent] else {
                continue
            }
            table.names.prefetch(caller.name)
        }
    }
}
