// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Testing

/// vCPUs write at once; tickets put their events in order.
@Suite struct ConcurrencyTests {
    @Test(arguments: [UInt8(0), 1])
    func vcpusWriteAtOnce(inlineSealing: UInt8) async throws {
        let vcpus: UInt16 = 4
        let log = try TestLog {
            $0.vcpu_count = vcpus
            $0.inline_sealing = inlineSealing
            $0.branch_cell_shift = 8
            $0.event_chunk_max = 64
            $0.codec = UInt8(TTLOG_CODEC_ZSTD.rawValue)
        }
        await withTaskGroup(of: Void.self) { group in
            for vcpu in 0..<vcpus {
                group.addTask {
                    for (index, record) in someBranches(20_000, seed: UInt64(vcpu)).enumerated() {
                        log.branch(record, vcpu: vcpu)
                        if index % 10 == 0 {
                            log.event(EventRecord(info: UInt32(index), clock: UInt64(index) + 1), vcpu: vcpu)
                        }
                        if index % 1000 == 0 { log.meta(EventRecord(kind: 65, info: UInt32(vcpu))) }
                    }
                }
            }
        }
        let image = try log.finish()
        #expect(image.problems.isEmpty && image.isClosed)
        var tickets: [UInt64] = []
        for vcpu in 0..<vcpus {
            let branches = image.chunks(TTLOG_STREAM_BRANCH, vcpu: vcpu).flatMap { $0.branches() ?? [] }
            #expect(branches == someBranches(20_000, seed: UInt64(vcpu)))
            let events = image.chunks(TTLOG_STREAM_EVENT, vcpu: vcpu).flatMap { $0.events() ?? [] }
            #expect(events.map(\.info) == stride(from: 0, to: 20_000, by: 10).map { UInt32($0) })
            #expect(zip(events, events.dropFirst()).allSatisfy { $0.ticket < $1.ticket })
            tickets += events.map(\.ticket)
        }
        let meta = image.metaChunks.flatMap { $0.events() ?? [] }
        #expect(meta.count == 80)
        tickets += meta.map(\.ticket)
        // Every ticket is used once.
        #expect(tickets.sorted() == (0..<UInt64(tickets.count)).map { $0 })
    }

    @Test func ticketsTellTheOrderAcrossVcpus() throws {
        let log = try TestLog { $0.vcpu_count = 3 }
        let order: [UInt16] = [2, 0, 0, 1, 2, 1, 0]
        for (index, vcpu) in order.enumerated() {
            log.event(EventRecord(info: UInt32(index), clock: 5), vcpu: vcpu)
        }
        let image = try log.finish()
        let events = (0..<3).flatMap { vcpu in
            image.chunks(TTLOG_STREAM_EVENT, vcpu: UInt16(vcpu)).flatMap { $0.events() ?? [] }
        }
        #expect(events.sorted { $0.ticket < $1.ticket }.map(\.info) == (0..<7).map { $0 })
    }

    @Test func manyBranchesAtOnceAreTheSameAsOneByOne() throws {
        let records = someBranches(5000)
        let single = try TestLog()
        for record in records { single.branch(record) }
        let bulk = try TestLog()
        let raw = records.map(\.raw)
        var place = 0
        for size in [1, 7, 16, 100, 3000, 1876] {
            raw[place..<(place + size)].withUnsafeBufferPointer { ttlog_branches(bulk.lane(), $0.baseAddress, size) }
            place += size
        }
        #expect(place == records.count)
        #expect(
            try single.finish().chunks(TTLOG_STREAM_BRANCH).map(\.compared)
                == bulk.finish().chunks(TTLOG_STREAM_BRANCH).map(\.compared))
    }

    @Test func theOpenHeaderCounts() throws {
        let log = try TestLog()
        for record in someBranches(50) { log.branch(record) }
        for index in 0..<7 { log.event(EventRecord(clock: 50 + UInt64(index))) }
        ttlog_lane_publish(log.lane(), 1234)
        let header = try OpenImage(path: log.openPath).header
        #expect(header.clock == 50 && header.icount == 1234)
        #expect(header.committed_branches == 48 && header.committed_events == 7)
        #expect(header.stored_bytes == UInt64(try readFile(log.path).count))
        #expect(header.error == 0)
        try log.close()
    }
}
