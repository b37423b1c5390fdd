// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LogFormat

/// Reads the branches of a segment chunk by chunk. Decodes a chunk on demand.
struct BranchSide: ~Copyable {
    let log: LogFile
    private let segment: BranchSegment
    private var index: Int
    private var reader = BranchChunkReader()
    /// The index of the chunk that was read last.
    private var decodedIndex: Int?
    /// The clock of the next branch.
    private(set) var clock: UInt64

    /// Begins before the branch with a clock, which is in the segment or is its end.
    ///
    /// - Parameter readsAll: whether every chunk is decoded from there on, one after the other.
    init(_ log: LogFile, _ segment: BranchSegment, at clock: UInt64, readsAll: Bool = false) {
        self.log = log
        self.segment = segment
        self.clock = clock
        index = segment.clocks.contains(clock) ? segment.chunkIndex(at: clock) : segment.chunks.endIndex
        reader.begin(log, segment.chunks[index...], readsAhead: readsAll)
    }

    /// The chunk that contains the next branch. Must not be read at the segment's end.
    var chunk: Chunk { segment.chunks[index] }
    var isAtEnd: Bool { index >= segment.chunks.endIndex }
    var isAtChunkStart: Bool { !isAtEnd && chunk.clockFirst == clock }

    /// Skips the rest of the current chunk.
    mutating func skipChunk() {
        clock = chunk.clockLast &+ 1
        index += 1
    }

    mutating func advance(_ count: Int) {
        clock &+= UInt64(count)
        if !isAtEnd, clock > chunk.clockLast { index += 1 }
    }

    /// Decodes the current chunk.
    mutating func decode() throws(LogError) {
        guard decodedIndex != index else { return }
        decodedIndex = nil
        try reader.read(index)
        let count = reader.batch.pointee.count
        guard count == chunk.count else {
            throw LogError(
                file: log.path, offset: chunk.offset,
                kind: .damaged(.field(structure: .body, name: "count", found: UInt64(count))))
        }
        decodedIndex = index
    }

    /// The columns of the rest of the decoded chunk.
    var columns: BranchColumns {
        let batch = reader.batch
        let offset = Int(clock - batch.pointee.clockFirst)
        return BranchColumns(
            count: batch.pointee.count - offset, from: batch.pointee.from + offset, to: batch.pointee.to + offset,
            icount: batch.pointee.icount + offset, label: batch.pointee.label + offset, clock: clock)
    }
}

/// Consecutive decoded branches. Valid until the next chunk is decoded.
struct BranchColumns {
    var count: Int
    var from: UnsafePointer<UInt64>
    var to: UnsafePointer<UInt64>
    var icount: UnsafePointer<UInt64>
    var label: UnsafePointer<UInt8>
    /// The clock of the first branch.
    var clock: UInt64

    func branch(_ index: Int) -> Branch {
        Branch(
            clock: clock &+ UInt64(index), from: from[index], to: to[index], icount: icount[index],
            label: BranchLabel(rawValue: label[index]))
    }

    /// The index of the first of `count` branches whose path differs; `count` if none differs.
    static func firstPathDifference(_ a: BranchColumns, _ b: BranchColumns, count: Int) -> Int {
        if isEqual(a.from, b.from, count * 8), isEqual(a.to, b.to, count * 8) { return count }
        return (0..<count).first { a.from[$0] != b.from[$0] || a.to[$0] != b.to[$0] } ?? count
    }

    /// The index of the first of `count` branches whose instruction counts do not differ by exactly the skew; `count`
    /// if there is none.
    static func firstIcountDifference(_ a: BranchColumns, _ b: BranchColumns, skew: UInt64, count: Int) -> Int {
        if skew == 0, isEqual(a.icount, b.icount, count * 8) { return count }
        return (0..<count).first { a.icount[$0] &+ skew != b.icount[$0] } ?? count
    }

    /// The index of the first of `count` branches whose labels differ and whose difference no rule allows; `count` if
    /// there is none.
    static func firstLabelDifference(
        _ a: BranchColumns, _ b: BranchColumns, count: Int, rules: inout BenignRules
    ) -> Int {
        if isEqual(a.label, b.label, count) { return count }
        for index in 0..<count where a.label[index] != b.label[index] {
            if !rules.allowLabels(a.label[index], b.label[index]) { return index }
        }
        return count
    }

    @inline(__always)
    private static func isEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ size: Int) -> Bool {
        memcmp(a, b, size) == 0
    }
}
