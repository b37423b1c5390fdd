// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc
import Testing

/// Directory and trailer list every chunk; records appended later add to the chain.
@Suite struct DirectoryTests {
    /// Follows the trailers backwards from the end of the file. Returns the headers that they list, in file order.
    func listed(_ image: LogImage) throws -> [[UInt8]] {
        var headers: [[UInt8]] = []
        var place = image.bytes.count - 64
        var steps = 0
        while place != 0 {
            let trailer = try #require(image.trailers.first { Int($0.offset) == place })
            let directory = try #require(image.directories.first { $0.header.offset == trailer.directory_offset })
            #expect(UInt32(directory.header.codec) == TTLOG_CODEC_RAW.rawValue)
            #expect(directory.header.count == trailer.chunk_count)
            #expect(directory.stored.count == 192 * Int(trailer.chunk_count))
            #expect(Int(trailer.directory_offset) + 192 + directory.stored.count == place)
            let part = (0..<Int(trailer.chunk_count)).map { Array(directory.stored[(192 * $0)..<(192 * $0 + 192)]) }
            headers = part + headers
            #expect(Int(trailer.previous_trailer) < place)
            place = Int(trailer.previous_trailer)
            steps += 1
            try #require(steps <= image.trailers.count)
        }
        return headers
    }

    func expectWhole(_ image: LogImage) throws {
        #expect(image.problems.isEmpty && image.isClosed)
        let headers = image.chunks.map { chunk in
            Array(image.bytes[Int(chunk.header.offset)..<(Int(chunk.header.offset) + 192)])
        }
        #expect(try listed(image) == headers)
    }

    @Test(arguments: [0, 1, 2, 4096, 4097, 10000])
    func everyChunkIsListed(chunks: Int) throws {
        let log = try TestLog { $0.branch_cell_shift = 1 }
        for record in someBranches(2 * chunks) { log.branch(record) }
        let image = try log.finish()
        #expect(image.chunks.count == chunks)
        #expect(image.trailers.count == max(1, (chunks + 4095) / 4096))
        try expectWhole(image)
        // A trailer and its predecessors list everything before it: a killed recorder's last trailer is complete.
        var listed = 0
        for trailer in image.trailers {
            listed += Int(trailer.chunk_count)
            #expect(image.chunks.filter { $0.header.offset < trailer.offset }.count == listed)
            #expect(trailer.flags == (trailer.offset == image.trailers.last?.offset ? 0 : TTLOG_TRAILER_CONTINUES))
        }
    }

    /// The writer is killed between a directory in the middle of the run and the next chunk: the log is not closed.
    @Test func aTrailerInTheMiddleClosesNothing() throws {
        let log = try TestLog { $0.branch_cell_shift = 1 }
        let records = someBranches(2 * 4097 + 1)
        for record in records { log.branch(record) }
        log.abandon()
        let trailer = try #require(try LogImage(path: log.path).trailers.last)
        #expect(trailer.flags == TTLOG_TRAILER_CONTINUES)
        try writeFile(log.path, Array(try readFile(log.path)[..<(Int(trailer.offset) + 64)]))
        // The chunk after the trailer is not written yet, so its slot is in use.
        var open = try readFile(log.openPath)
        let slot = try #require(
            try OpenImage(path: log.openPath).slots.first {
                UInt32($0.descriptor.stream) == TTLOG_STREAM_BRANCH.rawValue && $0.unitCount == 0
            })
        let freed = UInt64(slot.generation - 1) << 32 | 2
        for byte in 0..<8 {
            open[Int(slot.descriptor.offset) + byte] = UInt8(truncatingIfNeeded: freed >> UInt64(8 * byte))
        }
        try writeFile(log.openPath, open)

        try TestLog(appendingTo: log.path).close()
        let image = try LogImage(path: log.path)
        try expectWhole(image)
        #expect(image.chunks(TTLOG_STREAM_BRANCH).flatMap { $0.branches() ?? [] } == records)
    }

    @Test func attributesFollowTheEnd() throws {
        let log = try TestLog { $0.codec = UInt8(TTLOG_CODEC_ZSTD.rawValue) }
        for record in someBranches(100) { log.branch(record) }
        ttlog_write_attribute(log.writer, "guest", "tiny")
        try log.close()
        let before = try readFile(log.path)
        for round in 1...3 {
            let appended = try TestLog(appendingTo: log.path)
            #expect(ttlog_write_attribute(appended.writer, "round", "\(round)") == 0)
            // Only meta records can be appended.
            #expect(appended.event(EventRecord(clock: 1000)) == -1)
            #expect(ttlog_writer_lane(appended.writer, 0) == nil)
            try appended.close()
        }
        let image = try LogImage(path: log.path)
        try expectWhole(image)
        #expect(Array(image.bytes[..<before.count]) == before)
        #expect(image.trailers.count == 4)
        let meta = image.metaChunks
        #expect(meta.map(\.header.part) == [0, 1, 2, 3])
        #expect(meta.map(\.header.first_ordinal) == [0, 1, 2, 3])
        let records = meta.flatMap { $0.events() ?? [] }
        #expect(
            records.map { String(decoding: $0.payload, as: UTF8.self) } == [
                "guest\0tiny", "round\u{0}1", "round\u{0}2", "round\u{0}3",
            ])
        #expect(records.map(\.ticket) == [0, 1, 2, 3])
        var previous: UInt64 = 0
        for chunk in meta {
            #expect(chunk.header.chain == chain(after: previous, chunk))
            previous = chunk.header.chain
        }
    }

    @Test func appendingNothingChangesNothing() throws {
        let log = try TestLog()
        log.branch(someBranches(1)[0])
        try log.close()
        let before = try readFile(log.path)
        try TestLog(appendingTo: log.path).close()
        #expect(try readFile(log.path) == before)
    }

    @Test func appendingManyRecordsFillsSeveralChunks() throws {
        let log = try TestLog { $0.event_chunk_max = 10 }
        try log.close()
        let appended = try TestLog(appendingTo: log.path)
        for index in 0..<25 { appended.meta(EventRecord(kind: 65, payload: [UInt8(index)])) }
        try appended.close()
        let image = try LogImage(path: log.path)
        try expectWhole(image)
        #expect(image.metaChunks.map(\.header.count) == [10, 10, 5])
    }

    @Test func aRecoveredLogListsItsChunksAnew() throws {
        let log = try TestLog { $0.branch_cell_shift = 1 }
        let records = someBranches(2 * 5000 + 1)
        for record in records { log.branch(record) }
        log.event(EventRecord(clock: 10001, payload: [1, 2, 3]))
        log.meta(EventRecord(kind: 65, payload: [9]))
        log.abandon()
        let appended = try TestLog(appendingTo: log.path)
        appended.meta(EventRecord(kind: 65, payload: [10]))
        try appended.close()
        let image = try LogImage(path: log.path)
        try expectWhole(image)
        #expect(image.chunks(TTLOG_STREAM_BRANCH).flatMap { $0.branches() ?? [] } == records)
        #expect(image.chunks(TTLOG_STREAM_EVENT).flatMap { $0.events() ?? [] }.map(\.payload) == [[1, 2, 3]])
        #expect(image.metaChunks.flatMap { $0.events() ?? [] }.map(\.payload) == [[9], [10]])
        #expect(image.chunks.filter { $0.has(TTLOG_CHUNK_RECOVERED) }.count == 3)
        var previous: UInt64 = 0
        for chunk in image.chunks(TTLOG_STREAM_BRANCH) {
            #expect(chunk.header.chain == chain(after: previous, chunk))
            previous = chunk.header.chain
        }
    }

    @Test func recoveryFlagsPartialCellsOnly() throws {
        let log = try TestLog()
        for record in someBranches(20) { log.branch(record) }
        log.event(EventRecord(clock: 20))
        ttlog_begin_epoch(log.writer, 0, 1000)
        log.event(EventRecord(clock: 1000))
        for record in someBranches(88) { log.branch(record) }  // up to 1088, the end of event cell 16
        log.abandon()
        try TestLog(appendingTo: log.path).close()
        let events = try LogImage(path: log.path).chunks(TTLOG_STREAM_EVENT)
        #expect(events.map { $0.has(TTLOG_CHUNK_RECOVERED) } == [false, true])
        #expect(events.map { $0.has(TTLOG_CHUNK_PARTIAL_TAIL) } == [true, false])
        #expect(events[1].has(TTLOG_CHUNK_GAP_BEFORE))
    }

    /// A complete chunk whose slot is still in use is not repeated. A chunk that was written in part is cut off and made
    /// from the slot.
    @Test(arguments: [nil, 0, 1, 191, 192, 200])
    func aKillWhileAChunkIsWritten(written: Int?) throws {
        let log = try TestLog()
        let records = someBranches(40)
        for record in records { log.branch(record) }
        log.abandon()
        var open = try readFile(log.openPath)
        let slot = try #require(
            try OpenImage(path: log.openPath).slots.first {
                UInt32($0.descriptor.stream) == TTLOG_STREAM_BRANCH.rawValue && $0.unitCount == 0
            })
        // Restores the freed slot: 16 units of the previous generation.
        open[Int(slot.descriptor.offset)] = 16
        open[Int(slot.descriptor.offset) + 4] -= 1
        try writeFile(log.openPath, open)
        let last = try #require(try LogImage(path: log.path).chunks.last)
        #expect(last.header.cell == slot.header.cell)
        if let written {
            try writeFile(log.path, Array(try readFile(log.path)[..<(Int(last.header.offset) + written)]))
        }

        try TestLog(appendingTo: log.path).close()
        let image = try LogImage(path: log.path)
        try expectWhole(image)
        let chunks = image.chunks(TTLOG_STREAM_BRANCH)
        #expect(chunks.flatMap { $0.branches() ?? [] } == records)
        #expect(chunks.map { $0.has(TTLOG_CHUNK_RECOVERED) } == [false, written != nil, true])
    }

    /// In mode digest the log has only the chunk's header and the slot has the records: recovery adds them as a window.
    @Test func aSlotGivesAnElidedChunkItsBody() throws {
        let log = try TestLog { $0.mode = UInt8(TTLOG_MODE_DIGEST.rawValue) }
        let records = someBranches(40)
        for record in records { log.branch(record) }
        log.abandon()
        var open = try readFile(log.openPath)
        let slot = try #require(
            try OpenImage(path: log.openPath).slots.first {
                UInt32($0.descriptor.stream) == TTLOG_STREAM_BRANCH.rawValue && $0.unitCount == 0
            })
        open[Int(slot.descriptor.offset)] = 16
        open[Int(slot.descriptor.offset) + 4] -= 1
        try writeFile(log.openPath, open)
        try TestLog(appendingTo: log.path).close()
        let chunks = try LogImage(path: log.path).chunks(TTLOG_STREAM_BRANCH)
        #expect(chunks.map(\.header.cell) == [0, 1, 1, 2])
        #expect(chunks.map(\.isElided) == [true, true, false, false])
        #expect(chunks[2].header.flags == TTLOG_CHUNK_WINDOW | TTLOG_CHUNK_RECOVERED)
        #expect(chunks[2].compared == chunks[1].compared)
        #expect(chunks[2].branches() == Array(records[16..<32]))
        #expect(chunks[3].header.chain == chain(after: chunks[1].header.chain, chunks[3]))
    }

    /// Part of a chunk that is longer than everything that replaces it.
    @Test func aLongHalfWrittenChunkIsCutOff() throws {
        let log = try TestLog { $0.branch_cell_shift = 14 }
        for index in 0..<20_000 { log.branch(Torture.branch(index, random: true)) }
        log.abandon()
        let image = try LogImage(path: log.path)
        #expect(image.chunks.count == 1 && image.bytes.count > 200_000)
        try writeFile(log.path, Array(image.bytes[..<150_000]))
        unlink(log.openPath)
        try TestLog(appendingTo: log.path).close()
        let recovered = try LogImage(path: log.path)
        try expectWhole(recovered)
        #expect(recovered.chunks.isEmpty && recovered.bytes.count == 4096 + 192 + 64)
    }

    @Test func foreignOpenFilesAreLeftAlone() throws {
        let log = try TestLog()
        for record in someBranches(40) { log.branch(record) }
        log.abandon()
        let other = try TestLog()
        for record in someBranches(5, seed: 9) { other.branch(record) }
        other.abandon()
        try writeFile(log.openPath, try readFile(other.openPath))
        try TestLog(appendingTo: log.path).close()
        let image = try LogImage(path: log.path)
        try expectWhole(image)
        #expect(image.chunks(TTLOG_STREAM_BRANCH).flatMap { $0.branches() ?? [] } == Array(someBranches(40)[..<32]))
        #expect(fileExists(log.openPath))
    }
}
