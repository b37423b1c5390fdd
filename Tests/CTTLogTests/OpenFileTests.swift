// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc
import Testing

/// Property 3 of the log: a committed record is in the open file until it is in the log.
@Suite struct OpenFileTests {
    @Test func everyCommitIsVisibleAtOnce() throws {
        let log = try TestLog()
        let records = someBranches(40)
        for (index, record) in records.enumerated() {
            log.branch(record)
            log.event(EventRecord(info: UInt32(index), clock: UInt64(index + 1), payload: [UInt8](0..<70)))
            let image = try LogImage(path: log.path)
            let open = try OpenImage(path: log.openPath)
            #expect(allBranches(image, open) == Array(records[...index]))
            #expect(allEvents(image, open).map(\.info) == (0...UInt32(index)).map { $0 })
            #expect(open.header.committed_events == UInt64(index + 1))
        }
        try log.close()
        #expect(!fileExists(log.openPath))
    }

    /// Records that are made in place are the records that copies of them are; one without a commit is none.
    @Test func recordsAreMadeInPlace() throws {
        let records = (0..<200).map { index in
            EventRecord(
                kind: UInt16(TTLOG_EVENT_EXIT.rawValue), validity: UInt16(TTLOG_VALID_IP | TTLOG_VALID_REGISTERS),
                info: UInt32(index % 3) << 24, clock: UInt64(index / 2), ip: 0x1000 + UInt64(index),
                aux: UInt64(index) << 30,
                payload: [UInt8](repeating: UInt8(index), count: index % 9 * 16))
        }
        let copied = try TestLog()
        let made = try TestLog()
        let track = try #require(ttlog_track_of(made.writer, UInt8(TTLOG_STREAM_EVENT.rawValue), 0))
        for record in records {
            copied.event(record)
            // More room than the payload takes, and once more without a commit before.
            _ = try #require(ttlog_event_begin(track, record.clock, 64))
            let raw = try #require(ttlog_event_begin(track, record.clock, UInt32(record.payload.count)))
            raw.pointee = ttlog_raw_event()
            (raw.pointee.kind, raw.pointee.validity, raw.pointee.info) = (record.kind, record.validity, record.info)
            (raw.pointee.clock, raw.pointee.ip, raw.pointee.aux) = (record.clock, record.ip, record.aux)
            raw.pointee.payload_length = UInt16(record.payload.count)
            UnsafeMutableRawPointer(raw + 1).copyMemory(from: record.payload, byteCount: record.payload.count)
            ttlog_event_commit(track, raw)
        }
        let open = try OpenImage(path: made.openPath)
        #expect(allEvents(try LogImage(path: made.path), open).map(\.payload) == records.map(\.payload))
        #expect(open.header.committed_events == 200)
        // A clock that goes back is refused and counted.
        #expect(ttlog_event_begin(track, 3, 0) == nil)
        #expect(ttlog_writer_lost(made.writer) == 1)
        #expect(events(try copied.finish()) == events(try made.finish()))
    }

    private func events(_ image: LogImage) -> [EventRecord] {
        image.chunks.filter { $0.header.stream == UInt8(TTLOG_STREAM_EVENT.rawValue) }.flatMap { $0.events() ?? [] }
    }

    @Test func anAbandonedLogKeepsItsSlots() throws {
        let log = try TestLog { $0.inline_sealing = 0 }
        let records = someBranches(1000)
        for record in records { log.branch(record) }
        log.meta(EventRecord(kind: 65, payload: Array("note".utf8)))
        log.abandon()
        let image = try LogImage(path: log.path)
        let open = try OpenImage(path: log.openPath)
        #expect(!image.isClosed)
        #expect(allBranches(image, open) == records)
        #expect(open.used(TTLOG_STREAM_META, vcpu: 0xffff)[0].events[0].payload == Array("note".utf8))
        #expect(open.header.nonce == image.header.nonce)
        #expect(checksum(try readFile(log.openPath), 0, 64, field: 12) == open.header.header_crc)
    }

    @Test func sealingBumpsTheGeneration() throws {
        let log = try TestLog()
        for record in someBranches(16 * 4 + 1) { log.branch(record) }
        let open = try OpenImage(path: log.openPath)
        let slots = open.slots.filter { UInt32($0.descriptor.stream) == TTLOG_STREAM_BRANCH.rawValue }
        // Four chunks were sealed, two from each slot; the fifth is open in the first slot again.
        #expect(slots.map(\.generation) == [2, 2])
        #expect(slots.map(\.unitCount) == [1, 0])
        try log.close()
    }

    @Test func aSlotSaysWhichChunkItWillBe() throws {
        let log = try TestLog()
        for record in someBranches(20) { log.branch(record) }
        ttlog_begin_epoch(log.writer, 0, 500)
        for record in someBranches(3) { log.branch(record) }
        log.abandon()
        let slot = try #require(try OpenImage(path: log.openPath).used(TTLOG_STREAM_BRANCH).last)
        #expect(slot.header.epoch == 1 && slot.header.clock_first == 500 && slot.header.cell == 31)
        #expect(slot.header.first_ordinal == 20)
        #expect(slot.header.flags == TTLOG_CHUNK_GAP_BEFORE | TTLOG_CHUNK_PARTIAL_HEAD)
    }

    @Test func beingWrittenAndKilledDiffer() throws {
        let log = try TestLog()
        #expect(try isLocked(log.path))
        // No other writer may create it again or append to it.
        let again = #expect(throws: WriterProblem.self) { try TestLog(path: log.path) }
        let appended = #expect(throws: WriterProblem.self) { try TestLog(appendingTo: log.path) }
        for problem in [again, appended] {
            #expect(problem?.code == EBUSY)
            #expect(problem?.message.contains("another process is writing this log") == true)
        }
        log.branch(someBranches(1)[0])
        log.abandon()
        #expect(try !isLocked(log.path))
        let another = try TestLog(path: log.path)
        #expect(try another.finish().chunks.isEmpty)
        #expect(try !isLocked(log.path))
    }

    @Test func creationRefusesWhatCannotBeALog() throws {
        let directory = try temporaryDirectory()
        for path in [directory, directory + "/none/ttd.log", "/dev/null"] {
            #expect(throws: WriterProblem.self) { try TestLog(path: path) }
        }
        #expect(throws: WriterProblem.self) { try TestLog { $0.vcpu_count = 257 } }
        #expect(throws: WriterProblem.self) { try TestLog { $0.mode = 3 } }
        #expect(throws: WriterProblem.self) { try TestLog { $0.codec = 2 } }
        #expect(throws: WriterProblem.self) { try TestLog { $0.event_chunk_max = 16385 } }
        #expect(!fileExists("/dev/null.open"))
    }

    @Test func aChildProgramInheritsNothing() throws {
        let log = try TestLog { $0.inline_sealing = 0 }
        let listing = try Program("/bin/ls", ["-l", "/proc/self/fd"]).wait()
        #expect(listing.output.contains("/proc/"))
        #expect(!listing.output.contains(log.path))
        log.abandon()
    }

    private func isLocked(_ path: String) throws -> Bool {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { throw FileProblem(path: path, code: errno) }
        defer { close(descriptor) }
        return ttlog_is_locked(descriptor) != 0
    }
}
