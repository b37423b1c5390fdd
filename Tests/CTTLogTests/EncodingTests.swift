// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Testing

/// Decoding the columns gives the encoded records, for all values.
@Suite struct EncodingTests {
    func encode(_ records: [BranchRecord], withIcount: Bool = true) -> ChunkImage {
        let raw = records.map(\.raw)
        var header = ttlog_chunk_header()
        var body = [UInt8](repeating: 0xee, count: ttlog_branch_body_bound(raw.count))
        let size = raw.withUnsafeBufferPointer {
            ttlog_encode_branches($0.baseAddress, $0.count, 100, withIcount ? 1 : 0, &body, &header)
        }
        return ChunkImage(header: header, stored: Array(body.prefix(size)))
    }

    @Test(arguments: [1, 2, 3, 7, 8, 9, 511, 512, 513, 1025, 5000])
    func branchesComeBack(count: Int) throws {
        let records = someBranches(count, seed: UInt64(count))
        let chunk = encode(records)
        #expect(chunk.branches() == records)
        #expect(chunk.header.count == UInt32(count))
        #expect(chunk.header.clock_first == 100 && chunk.header.clock_last == 99 + UInt64(count))
        #expect(chunk.header.icount_first == records[0].icount)
        #expect(chunk.header.icount_last == records[count - 1].icount)
    }

    /// Every length and its neighbours, in every column, with steps backwards and around the end of the address space.
    @Test func extremeBranchesComeBack() throws {
        var edges: [UInt64] = [0, .max]
        for bits in [7, 8, 15, 16, 23, 24, 31, 32, 63] as [UInt64] {
            edges += [(1 << bits) - 1, 1 << bits, 0 &- (1 << bits), 0 &- (1 << bits) - 1]
        }
        let steps: [UInt64] = [0, 1, 253, 254, 255, 256, 0 &- 1, 0 &- 255, 1 << 40]
        var records: [BranchRecord] = []
        var place: UInt64 = 0
        var icount: UInt64 = 1 << 41
        for (index, fromStep) in edges.enumerated() {
            for toStep in edges {
                let from = place &+ fromStep
                place = from &+ toStep
                icount = (icount &+ steps[(records.count + index) % steps.count]) & (1 << 56 - 1)
                records.append(
                    BranchRecord(from: from, to: place, icount: icount, label: UInt8(records.count & 0xff)))
            }
        }
        #expect(encode(records).branches() == records)
    }

    /// A step of -1 among short ones: modulo 2^64 it is the longest step.
    @Test func anIcountThatFallsByOneComesBack() {
        let icounts: [UInt64] = [10, 12, 11, 13, 14, 15, 16, 17, 18]
        let records = icounts.map { BranchRecord(from: 0x1000, to: 0x1000, icount: $0, label: 0x21) }
        #expect(encode(records).branches() == records)
    }

    @Test func valuesTakeTheirShortestForm() throws {
        // from steps of 1, 2, 4, 8 bytes; to steps of 1, 2, 3, 8 bytes
        let cases: [(from: UInt64, to: Int64, sizes: [Int])] = [
            (0xff, 127, [1, 1]), (0x100, -128, [2, 1]), (0xffff, 128, [2, 2]), (0x10000, -32768, [4, 2]),
            (0xffff_ffff, 32768, [4, 3]), (0x1_0000_0000, -8_388_608, [8, 3]), (.max, 8_388_608, [8, 8]),
        ]
        for (from, to, sizes) in cases {
            let record = BranchRecord(from: from, to: from &+ UInt64(bitPattern: to), icount: 0, label: 0x21)
            let columns = try #require(encode([record]).columns(7))
            #expect(columns[1...2].map(\.count) == sizes)
        }
    }

    @Test func withoutIcountItsColumnsAreAbsent() throws {
        let records = someBranches(100).map { record in
            var record = record
            record.icount = 0
            return record
        }
        let log = try TestLog { $0.features = 1 }
        for record in someBranches(100) { log.branch(record) }
        log.event(EventRecord(validity: 3, clock: 100, icount: 55, ip: 4))
        let image = try log.finish()
        let chunks = image.chunks(TTLOG_STREAM_BRANCH)
        #expect(chunks.flatMap { $0.branches() ?? [] } == records)
        #expect(chunks.allSatisfy { $0.columns(7)?[5].isEmpty == true && $0.header.icount_last == 0 })
        #expect(image.chunks(TTLOG_STREAM_EVENT)[0].events()?[0].validity == 1)
    }

    @Test func eventsComeBack() throws {
        var numbers = Sequence64(state: 99)
        var records: [EventRecord] = []
        for index in 0..<500 {
            let number = numbers.next()
            var record = EventRecord(
                kind: UInt16(truncatingIfNeeded: number >> 50), validity: UInt16(number >> 8 & 127),
                info: UInt32(truncatingIfNeeded: numbers.next() >> (number & 31)), clock: UInt64(index / 3))
            if record.validity & 2 != 0 { record.icount = numbers.next() >> (number & 63) }
            if record.validity & 1 != 0 { record.ip = numbers.next() >> (number & 63) }
            if record.validity & 12 != 0 { record.aux = numbers.next() }
            if record.validity & 64 != 0 { record.tsc = numbers.next() >> 2 }
            record.payload = (0..<Int(number >> 16 & 0xff)).map { UInt8($0) }
            record.privatePayload = (0..<Int(number >> 24 % 65)).map { UInt8(200 - $0) }
            record.ticket = UInt64(index)
            records.append(record)
        }
        let log = try TestLog()
        for record in records { #expect(log.event(record) == 0) }
        let read = try log.finish().chunks(TTLOG_STREAM_EVENT).flatMap { $0.events() ?? [] }
        #expect(read == records)
    }

    /// Rows of records with one kind, validity and step of the clock; each row ends with one that differs.
    @Test func eventsOfOneShapeComeBack() throws {
        let odd: [(inout EventRecord) -> Void] = [
            { $0.kind = 200 }, { $0.validity = 1 << 5 }, { ($0.validity, $0.tsc) = (0x69, 9) },
            { $0.privatePayload = [7] }, { $0.clock += 100 },
        ]
        var records: [EventRecord] = []
        var clock: UInt64 = 0
        for length in [0, 1, 2, 300] {
            for change in odd {
                for index in 0...length {
                    clock += 1
                    var record = EventRecord(kind: 36, validity: 0x29, info: 1 << 24, clock: clock)
                    record.ip = 0x1000 &* UInt64(index)
                    record.aux = clock &* 0x9e37_79b9
                    record.payload = [UInt8](repeating: UInt8(truncatingIfNeeded: clock), count: index % 3 * 29)
                    if index == length { change(&record) }
                    clock = record.clock
                    record.ticket = UInt64(records.count)
                    if record.validity & 1 == 0 { record.ip = 0 }
                    if record.validity & 12 == 0 { record.aux = 0 }
                    records.append(record)
                }
            }
        }
        let log = try TestLog()
        for record in records { #expect(log.event(record) == 0) }
        let read = try log.finish().chunks(TTLOG_STREAM_EVENT).flatMap { $0.events() ?? [] }
        #expect(read == records)
    }

    @Test func malformedUnitsAreRefused() {
        var header = ttlog_chunk_header()
        var body = [UInt8](repeating: 0, count: ttlog_event_body_bound(2))
        var event = ttlog_raw_event()
        event.payload_length = 65  // two units more than there are
        withUnsafeBytes(of: event) { #expect(ttlog_encode_events($0.baseAddress, 1, &body, &header) == 0) }
        event.payload_length = 0
        event.private_length = 65
        var two = [event, ttlog_raw_event()]
        two.withUnsafeMutableBytes { #expect(ttlog_encode_events($0.baseAddress, 2, &body, &header) == 0) }
        #expect(ttlog_encode_events(&two, 0, &body, &header) == 0)
    }

    @Test func aPrivatePayloadBeyondTheLimitIsRefused() throws {
        let log = try TestLog()
        #expect(log.event(EventRecord(privatePayload: [UInt8](repeating: 0, count: 65))) == -1)
        #expect(log.event(EventRecord(privatePayload: [UInt8](repeating: 0, count: 64))) == 0)
        #expect(try log.finish().trailers.last?.lost_records == 1)
    }
}
