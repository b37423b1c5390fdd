// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Testing

@Suite("Chunks decoded ahead are those that are decoded one by one")
struct ReadAheadTests {
    /// A log with a damaged chunk of branches, and the index of that chunk.
    private func log(_ scratch: Scratch) throws -> (log: LogFile, chunks: ArraySlice<Chunk>, damaged: Int) {
        var image = try SampleLog(branches: 2000).image()
        let chunks = try DamageTests.open(image, scratch).chunks(.branch, vcpu: 1)
        let damaged = chunks.startIndex + 20
        image.flip(bit: Int(chunks[damaged].offset + 200) * 8)
        return (try DamageTests.open(image, scratch), chunks, damaged)
    }

    /// The number of branches of a chunk and the sum of its columns; nil if it is damaged.
    private func sum(_ batch: borrowing BranchBatch) -> UInt64 {
        var sum = UInt64(batch.count)
        for index in 0..<batch.count {
            sum = sum &* 31 &+ batch.from[index] &+ batch.to[index] &+ batch.icount[index] &+ UInt64(batch.label[index])
        }
        return sum
    }

    private func sums(_ log: LogFile, _ chunks: ArraySlice<Chunk>) -> [UInt64?] {
        var batch = BranchBatch()
        return chunks.map { chunk in
            guard (try? log.decode(chunk, into: &batch)) != nil else { return nil }
            return sum(batch)
        }
    }

    /// Every chunk, every third, and so few that threads are ahead of the reader; the last chunks are left unread.
    @Test(arguments: [1, 3, 11]) func batches(step: Int) throws {
        let scratch = Scratch()
        let (log, chunks, damaged) = try log(scratch)
        #expect(chunks.count > 100)
        let expected = sums(log, chunks)
        for _ in 0..<20 {
            let ahead = BranchReadAhead(log, chunks, from: chunks.startIndex)
            defer { ahead.stop() }
            for index in stride(from: chunks.startIndex, to: chunks.endIndex - 10, by: step) {
                let found = (try? ahead.batch(index)).map { sum($0.pointee) }
                #expect(found == expected[index - chunks.startIndex], "\(index)")
                #expect((found == nil) == (index == damaged))
            }
        }
    }

    @Test func cursor() throws {
        let scratch = Scratch()
        let (log, chunks, damaged) = try log(scratch)
        var cursor = log.branches(vcpu: 1)
        var found: [UInt64] = []
        while cursor.nextBatch({ batch, _ in found.append(sum(batch)) }) {}
        #expect(found == sums(log, chunks).compactMap { $0 })
        #expect(cursor.skipped.map(\.offset) == [chunks[damaged].offset])
    }

    @Test func columns() throws {
        let scratch = Scratch()
        let (log, chunks, _) = try log(scratch)
        var all = BranchBatch()
        var some = BranchBatch()
        let chunk = try #require(chunks.first)
        try log.decode(chunk, into: &all)
        try log.decode(chunk, into: &some, columns: .icount)
        #expect((0..<all.count).allSatisfy { all.icount[$0] == some.icount[$0] })
        try log.decode(chunk, into: &some, columns: [.path, .label])
        #expect((0..<all.count).allSatisfy { all.to[$0] == some.to[$0] && all.label[$0] == some.label[$0] })
    }
}
