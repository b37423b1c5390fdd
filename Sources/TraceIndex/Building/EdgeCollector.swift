// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// Counts the distinct branches of some chunks, and remembers the blocks of chunks that each occurs in. One for each
/// thread; ``EdgeStage`` puts them together.
final class EdgeCollector: @unchecked Sendable {
    /// A distinct branch of a vCPU.
    struct Edge: HashSlot {
        struct Key {
            var from: UInt64
            var to: UInt64
            /// vCPU << 8 | label.
            var tag: UInt32
        }

        var from: UInt64
        var to: UInt64
        /// 0 in a free slot.
        var count: UInt64
        var first: UInt64
        var last: UInt64
        var tag: UInt32
        /// The number of the edge: where its blocks are.
        var number: UInt32
        /// The block that was added last.
        var lastBlock: Int32

        static let free = Edge(from: 0, to: 0, count: 0, first: 0, last: 0, tag: 0, number: 0, lastBlock: -1)
        var isFree: Bool { count == 0 }
        func holds(_ key: Key) -> Bool { from == key.from && to == key.to && tag == key.tag }
        func hash(_ seeds: HashSeeds) -> UInt64 { Edge.hash(Key(from: from, to: to, tag: tag), seeds) }
        static func hash(_ key: Key, _ seeds: HashSeeds) -> UInt64 {
            seeds.mix(key.from, key.to ^ UInt64(key.tag) &<< 40)
        }

        var vcpu: UInt16 { UInt16(truncatingIfNeeded: tag >> 8) }
        var label: UInt8 { UInt8(truncatingIfNeeded: tag) }
    }

    /// The largest number of blocks; in longer logs a block covers more chunks.
    static let blockLimit = 1024
    /// The largest number of edges.
    private static let edgeLimit = 1 << 22
    private static let slabEdges = 4096

    private var table = HashTable<Edge>(limit: edgeLimit, expected: 1 << 14)
    private let wordsPerEdge: Int
    /// A bit for each block, for each edge; in pieces, so that growing copies nothing.
    private var slabs: [UnsafeMutablePointer<UInt64>] = []
    private var batch = BranchBatch()
    /// Branches that the full table could not take.
    private(set) var leftOut: UInt64 = 0
    private(set) var damage: [Damage] = []

    init(blockCount: Int) { wordsPerEdge = max(1, (blockCount + 63) / 64) }

    deinit {
        for slab in slabs { slab.deallocate() }
    }

    /// Counts the branches of a chunk.
    func add(_ chunk: Chunk, of log: LogFile, block: Int) {
        do {
            try log.decode(chunk, into: &batch, columns: [.path, .label])
        } catch {
            damage.append(error.damage(of: chunk))
            return
        }
        let (from, to, label) = (batch.from, batch.to, batch.label)
        let vcpu = UInt32(chunk.vcpu) << 8
        let clock = batch.clockFirst
        let block = Int32(truncatingIfNeeded: block)
        var probe = table.probe
        for index in 0..<batch.count {
            let key = Edge.Key(from: from[index], to: to[index], tag: vcpu | UInt32(label[index]))
            if let edge = probe.find(key) {
                edge.pointee.count &+= 1
                edge.pointee.last = clock &+ UInt64(index)
                if edge.pointee.lastBlock != block { mark(edge, block) }
            } else {
                insert(key, clock &+ UInt64(index), block)
                probe = table.probe
            }
        }
    }

    @inline(never)
    private func insert(_ key: Edge.Key, _ clock: UInt64, _ block: Int32) {
        let number = table.count
        let edge = Edge(
            from: key.from, to: key.to, count: 1, first: clock, last: clock, tag: key.tag,
            number: UInt32(truncatingIfNeeded: number), lastBlock: -1)
        guard table.insert(edge) else {
            leftOut &+= 1
            return
        }
        if number / EdgeCollector.slabEdges == slabs.count {
            let size = EdgeCollector.slabEdges * wordsPerEdge
            let slab = UnsafeMutablePointer<UInt64>.allocate(capacity: size)
            slab.initialize(repeating: 0, count: size)
            slabs.append(slab)
        }
        if let slot = table.find(key) { mark(slot, block) }
    }

    private func mark(_ edge: UnsafeMutablePointer<Edge>, _ block: Int32) {
        edge.pointee.lastBlock = block
        let words = words(of: edge.pointee)
        words[Int(block) / 64] |= 1 << UInt64(block % 64)
    }

    private func words(of edge: Edge) -> UnsafeMutablePointer<UInt64> {
        let number = Int(edge.number)
        return slabs[number / EdgeCollector.slabEdges] + number % EdgeCollector.slabEdges * wordsPerEdge
    }

    /// The edges, by vCPU, from, to and label.
    var edges: [Edge] {
        var list: [Edge] = []
        table.visit { list.append($0) }
        list.sort { ($0.vcpu, $0.from, $0.to, $0.label) < ($1.vcpu, $1.from, $1.to, $1.label) }
        return list
    }

    /// Adds the blocks of an edge to a bit set.
    func addBlocks(of edge: Edge, to blocks: inout [UInt64]) {
        let words = words(of: edge)
        for index in 0..<wordsPerEdge { blocks[index] |= words[index] }
    }

    /// Words of a set of blocks.
    var blockWords: Int { wordsPerEdge }
}
