// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Testing

/// Property 1 of the log: only the clock grid and fixed maxima end a chunk.
@Suite struct GridTests {
    @Test func branchChunksEndWithTheirCells() throws {
        let log = try TestLog { $0.clock_base = 5 }
        for record in someBranches(100) { log.branch(record) }
        let chunks = try log.finish().chunks(TTLOG_STREAM_BRANCH)

        #expect(chunks.map(\.header.cell) == [0, 1, 2, 3, 4, 5, 6])
        #expect(chunks.map(\.header.count) == [11, 16, 16, 16, 16, 16, 9])
        #expect(chunks.map(\.header.clock_first) == [5, 16, 32, 48, 64, 80, 96])
        #expect(chunks.map(\.header.clock_last) == [15, 31, 47, 63, 79, 95, 104])
        #expect(chunks.map(\.header.first_ordinal) == [0, 11, 27, 43, 59, 75, 91])
        #expect(chunks.map(\.header.flags) == [TTLOG_CHUNK_PARTIAL_HEAD, 0, 0, 0, 0, 0, TTLOG_CHUNK_PARTIAL_TAIL])
    }

    @Test func aLogThatEndsOnTheGridHasNoPartialCell() throws {
        let log = try TestLog()
        for record in someBranches(64) { log.branch(record) }
        log.event(EventRecord(clock: 64))
        let image = try log.finish()
        #expect(image.chunks(TTLOG_STREAM_BRANCH).map(\.header.flags) == [0, 0, 0, 0])
        // The event at clock 64 opens the next event cell, and the log ends in it.
        #expect(image.chunks(TTLOG_STREAM_EVENT).map(\.header.cell) == [1])
        #expect(image.chunks(TTLOG_STREAM_EVENT).map(\.header.flags) == [TTLOG_CHUNK_PARTIAL_TAIL])
    }

    @Test func oneMoreEventChangesItsCellOnly() throws {
        func write(extra: Bool) throws -> LogImage {
            let log = try TestLog { $0.event_chunk_max = 8 }
            for (index, record) in someBranches(64 * 10).enumerated() {
                if index % 3 == 0 { log.event(EventRecord(validity: 1, clock: UInt64(index), ip: record.from)) }
                if extra && index == 64 * 4 + 7 { log.event(EventRecord(validity: 1, clock: UInt64(index), ip: 1)) }
                log.branch(record)
            }
            return try log.finish()
        }
        let plain = try write(extra: false)
        let changed = try write(extra: true)
        #expect(
            plain.chunks(TTLOG_STREAM_BRANCH).map(\.compared) == changed.chunks(TTLOG_STREAM_BRANCH).map(\.compared))

        let before = plain.chunks(TTLOG_STREAM_EVENT)
        let after = changed.chunks(TTLOG_STREAM_EVENT)
        #expect(before.map(\.header.cell) == after.map(\.header.cell))
        #expect(before.map(\.header.part) == after.map(\.header.part))
        let different = zip(before, after).filter { $0.digests != $1.digests || $0.header.count != $1.header.count }
        #expect(!different.isEmpty)
        #expect(different.allSatisfy { $0.0.header.cell == 4 })
    }

    @Test func aFullChunkBeginsTheNextPart() throws {
        let log = try TestLog { $0.event_chunk_max = 8 }
        for index in 0..<20 { log.event(EventRecord(clock: UInt64(index))) }
        log.event(EventRecord(clock: 64))
        let chunks = try log.finish().chunks(TTLOG_STREAM_EVENT)
        #expect(chunks.map(\.header.cell) == [0, 0, 0, 1])
        #expect(chunks.map(\.header.part) == [0, 1, 2, 0])
        #expect(chunks.map(\.header.count) == [8, 8, 4, 1])
    }

    @Test func comparedPayloadCutsChunksAndPrivatePayloadDoesNot() throws {
        func write(hidden: Int) throws -> [ChunkImage] {
            let log = try TestLog()
            // Five payloads of 262,144 bytes together, which is the maximum, and one byte more.
            for size in [65535, 65535, 65535, 65535, 4, 1] {
                let record = EventRecord(
                    payload: [UInt8](repeating: 5, count: size), privatePayload: [UInt8](repeating: 7, count: hidden))
                log.event(record, stream: TTLOG_STREAM_ACCESS)
            }
            return try log.finish().chunks(TTLOG_STREAM_ACCESS)
        }
        let plain = try write(hidden: 0)
        #expect(plain.map(\.header.count) == [5, 1])
        #expect(try write(hidden: 64).map(\.compared) == plain.map(\.compared))
    }

    @Test func aGapBeginsAnEpoch() throws {
        let log = try TestLog()
        let branches = someBranches(60)
        for record in branches[..<20] { log.branch(record) }
        log.event(EventRecord(clock: 20))
        ttlog_begin_epoch(log.writer, 0, 1000)
        for record in branches[20...] { log.branch(record) }
        log.event(EventRecord(clock: 1040))
        let image = try log.finish()

        let chunks = image.chunks(TTLOG_STREAM_BRANCH)
        #expect(chunks.map(\.header.epoch) == [0, 0, 1, 1, 1])
        #expect(chunks.map(\.header.clock_first) == [0, 16, 1000, 1008, 1024])
        #expect(
            chunks.map(\.header.flags) == [
                0, TTLOG_CHUNK_PARTIAL_TAIL, TTLOG_CHUNK_GAP_BEFORE | TTLOG_CHUNK_PARTIAL_HEAD, 0, 0,
            ])
        #expect(chunks[2].header.chain == chain(after: 0, chunks[2]))
        let events = image.chunks(TTLOG_STREAM_EVENT)
        #expect(events.map(\.header.epoch) == [0, 1])
        #expect(events[0].has(TTLOG_CHUNK_PARTIAL_TAIL))
        #expect(events[1].has(TTLOG_CHUNK_GAP_BEFORE))
    }

    @Test func aFallingClockIsRefusedAndCounted() throws {
        let log = try TestLog()
        #expect(log.event(EventRecord(clock: 100)) == 0)
        #expect(log.event(EventRecord(clock: 99)) == -1)
        #expect(log.event(EventRecord(clock: 101)) == 0)
        #expect(ttlog_writer_lost(log.writer) == 1)
        let image = try log.finish()
        #expect(image.chunks(TTLOG_STREAM_EVENT).flatMap { $0.events() ?? [] }.map(\.clock) == [100, 101])
        #expect(image.trailers.last?.lost_records == 1)
    }
}

/// The chain of a chunk by the words of the specification.
func chain(after previous: UInt64, _ chunk: ChunkImage) -> UInt64 {
    let words = [
        previous, chunk.header.cell, UInt64(chunk.header.part) << 32 | UInt64(chunk.header.count),
        chunk.header.digest.0, chunk.header.digest.2,
    ]
    return words.withUnsafeBytes { ttlog_hash($0.baseAddress, $0.count, 0) }
}
