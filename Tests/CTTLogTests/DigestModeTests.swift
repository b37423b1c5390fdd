// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Testing

/// Property 5 of the log: mode digest omits branch bodies, except the last ones and those inside the window.
@Suite struct DigestModeTests {
    func write(
        _ count: Int, mode: ttlog_mode = TTLOG_MODE_DIGEST, change: (inout ttlog_options) -> Void = { _ in }
    ) throws -> LogImage {
        let log = try TestLog {
            $0.mode = UInt8(mode.rawValue)
            change(&$0)
        }
        for record in someBranches(count) { log.branch(record) }
        for index in 0..<10 { log.event(EventRecord(clock: UInt64(count), payload: [UInt8(index)])) }
        return try log.finish()
    }

    @Test func sealedBodiesAreLeftOutAndTheLastOnesStay() throws {
        let image = try write(16 * 20 + 3) { $0.kept_cells = 3 }
        let chunks = image.chunks(TTLOG_STREAM_BRANCH)
        let elided = chunks.filter(\.isElided)
        let kept = chunks.filter { !$0.isElided }
        #expect(image.problems.isEmpty && image.isClosed)
        #expect(elided.map(\.header.cell) == (0...20).map { $0 })
        #expect(elided.allSatisfy { $0.header.stored_size == 0 && $0.header.raw_size > 0 && $0.header.codec == 0 })
        #expect(kept.map(\.header.cell) == [18, 19, 20])
        #expect(kept.allSatisfy { $0.has(TTLOG_CHUNK_WINDOW) })
        // The kept chunk is the elided one, with its body.
        for chunk in kept {
            let twin = try #require(elided.first { $0.header.cell == chunk.header.cell })
            #expect(twin.compared == chunk.compared)
            #expect(twin.header.raw_size == chunk.header.raw_size)
        }
        #expect(kept.flatMap { $0.branches() ?? [] } == Array(someBranches(16 * 20 + 3)[(16 * 18)...]))
        // All events are in the log.
        #expect(image.chunks(TTLOG_STREAM_EVENT).map(\.header.count) == [10])
    }

    @Test func digestsAreThoseOfTheWholeLog() throws {
        let whole = try write(500, mode: TTLOG_MODE_BRANCHES)
        let digest = try write(500)
        #expect(
            digest.chunks(TTLOG_STREAM_BRANCH).filter(\.isElided).map(\.compared)
                == whole.chunks(TTLOG_STREAM_BRANCH).map(\.compared))
        #expect(digest.header.features == whole.header.features)
    }

    @Test func aWindowKeepsTheCellsThatItMeets() throws {
        let image = try write(16 * 20) {
            $0.kept_cells = 1
            ($0.window_from, $0.window_to) = (47, 64)  // the last clock of cell 2 up to the last of cell 3
        }
        let whole = image.chunks(TTLOG_STREAM_BRANCH).filter { !$0.isElided }
        #expect(whole.map(\.header.cell) == [2, 3, 19])
        #expect(whole.map { $0.has(TTLOG_CHUNK_WINDOW) } == [false, false, true])
        #expect(image.header.features & (1 << 12) != 0)
        #expect(whole[0].branches() == Array(someBranches(320)[32..<48]))
    }

    @Test func fewerCellsThanAreKeptStayAll() throws {
        let image = try write(20) { $0.kept_cells = 8 }
        let kept = image.chunks(TTLOG_STREAM_BRANCH).filter { !$0.isElided }
        #expect(kept.flatMap { $0.branches() ?? [] } == someBranches(20))
    }

    @Test func modeEventsCountsWithoutBranches() throws {
        let image = try write(100, mode: TTLOG_MODE_EVENTS)
        #expect(image.chunks(TTLOG_STREAM_BRANCH).isEmpty)
        #expect(image.header.features & 1 == 0)
        #expect(image.chunks(TTLOG_STREAM_EVENT)[0].header.clock_first == 100)
        #expect(image.trailers.last?.lost_records == 0)
        let log = try TestLog { $0.mode = UInt8(TTLOG_MODE_EVENTS.rawValue) }
        for record in someBranches(77) { log.branch(record) }
        #expect(log.lane().pointee.clock == 77)
        let raw = someBranches(23).map(\.raw)
        ttlog_branches(log.lane(), raw, raw.count)
        #expect(log.lane().pointee.clock == 100)
        #expect(ttlog_writer_lost(log.writer) == 0)
        try log.close()
    }

    @Test func aKilledRecorderLeavesWholeOpenCells() throws {
        let log = try TestLog { $0.mode = UInt8(TTLOG_MODE_DIGEST.rawValue) }
        let records = someBranches(100)
        for record in records { log.branch(record) }
        log.abandon()
        try TestLog(appendingTo: log.path).close()
        let image = try LogImage(path: log.path)
        #expect(image.isClosed && image.problems.isEmpty)
        let last = try #require(image.chunks(TTLOG_STREAM_BRANCH).last)
        #expect(last.header.flags == TTLOG_CHUNK_RECOVERED | TTLOG_CHUNK_PARTIAL_TAIL)
        #expect(last.branches() == Array(records[96...]))
    }
}
