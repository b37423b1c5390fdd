// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Testing

/// Property 2 of the log: digests depend on the recorded data, class by class, and not on how it was written.
@Suite struct DigestTests {
    @Test func hashesAreTheStandardOnes() {
        #expect(Array("123456789".utf8).withUnsafeBytes { ttlog_crc32c(0, $0.baseAddress, $0.count) } == 0xe306_9283)
        // The published XXH3-64 of no bytes with seed 0.
        #expect(ttlog_hash("", 0, 0) == 0x2d06_8005_38d3_94c2)
        // A checksum over two pieces is that of the whole.
        let bytes = (0..<100).map { UInt8($0) }
        let whole = bytes.withUnsafeBytes { ttlog_crc32c(0, $0.baseAddress, 100) }
        let pieces = bytes.withUnsafeBytes {
            ttlog_crc32c(ttlog_crc32c(0, $0.baseAddress, 33), $0.baseAddress! + 33, 67)
        }
        #expect(whole == pieces)
    }

    /// Writes the same run with the given options.
    func write(
        tickets: Int = 0, tsc: UInt64 = 0, hidden: [UInt8] = [], change: (inout ttlog_options) -> Void = { _ in }
    ) throws -> LogImage {
        let log = try TestLog(path: nil, change)
        for index in 0..<tickets { log.meta(EventRecord(kind: 65, payload: [UInt8(index)])) }
        for (index, record) in someBranches(1000).enumerated() {
            if index % 7 == 0 {
                let validity: UInt16 = tsc == 0 ? 3 : 67
                let event = EventRecord(
                    validity: validity, info: UInt32(index), clock: UInt64(index), icount: record.icount,
                    ip: record.from, payload: Array("payload \(index)".utf8),
                    tsc: tsc &* UInt64(index), privatePayload: hidden)
                log.event(event, stream: index % 2 == 0 ? TTLOG_STREAM_EVENT : TTLOG_STREAM_ACCESS)
            }
            log.branch(record)
        }
        return try log.finish()
    }

    @Test func nothingAboutTheWritingIsInADigest() throws {
        let plain = try write()
        #expect(plain.problems.isEmpty && plain.isClosed)
        let compared = [TTLOG_STREAM_BRANCH, TTLOG_STREAM_EVENT, TTLOG_STREAM_ACCESS].map { stream in
            plain.chunks(stream).map(\.compared)
        }
        #expect(compared.allSatisfy { $0.count > 5 })
        let others = [
            try write { $0.codec = UInt8(TTLOG_CODEC_ZSTD.rawValue) },
            try write {
                $0.codec = UInt8(TTLOG_CODEC_ZSTD.rawValue)
                $0.compression_level = 9
            },
            try write { $0.inline_sealing = 0 },
            try write {
                $0.nonce = 77
                $0.created_unix_ns = 1
                $0.recording_uuid.3 = 4
            },
            try write { $0.mode = UInt8(TTLOG_MODE_DIGEST.rawValue) },
            try write(tickets: 3),
            try write(tsc: 12345, hidden: [1, 2, 3]),
        ]
        for other in others {
            #expect(other.problems.isEmpty)
            for (index, stream) in [TTLOG_STREAM_BRANCH, TTLOG_STREAM_EVENT, TTLOG_STREAM_ACCESS].enumerated() {
                let chunks = other.chunks(stream).filter { !$0.has(TTLOG_CHUNK_WINDOW) }
                #expect(chunks.map(\.compared) == compared[index])
            }
        }
    }

    @Test(arguments: [
        // what is changed, and which digests must change with it: path, label, position, payload
        ("from", [true, false, false, false]), ("to", [true, false, false, false]),
        ("label", [false, true, false, false]), ("icount", [false, false, true, false]),
    ])
    func aBranchFieldIsInItsClass(field: String, expected: [Bool]) throws {
        func write(changed: Bool) throws -> [UInt64] {
            let log = try TestLog()
            for (index, record) in someBranches(16).enumerated() {
                var record = record
                if changed && index == 8 {
                    switch field {
                    case "from": record.from ^= 1
                    case "to": record.to ^= 1
                    case "label": record.label = record.label == 6 ? 3 : 6
                    default: record.icount += 1
                    }
                }
                log.branch(record)
            }
            return try log.finish().chunks(TTLOG_STREAM_BRANCH)[0].digests
        }
        let before = try write(changed: false)
        let after = try write(changed: true)
        #expect(zip(before, after).map { $0 != $1 } == expected)
    }

    @Test(arguments: [
        ("kind", "position"), ("validity", "position"), ("clock", "position"), ("icount", "position"),
        ("ip", "position"), ("info", "payload"), ("aux", "payload"), ("payload", "payload"), ("tsc", ""),
        ("private", ""),
    ])
    func anEventFieldIsInItsClass(field: String, expected: String) throws {
        func write(changed: Bool) throws -> [UInt64] {
            let log = try TestLog()
            for index in 0..<5 {
                var record = EventRecord(
                    validity: 1 | 2 | 4 | 64, info: 3, clock: UInt64(2 * index), icount: UInt64(10 * index), ip: 0x1000,
                    aux: 9, payload: [1, 2, 3], tsc: 50, privatePayload: [8])
                if changed && index == 2 {
                    switch field {
                    case "kind": record.kind = 2
                    case "validity": record.validity |= 32
                    case "clock": record.clock += 1
                    case "icount": record.icount += 1
                    case "ip": record.ip += 1
                    case "info": record.info += 1
                    case "aux": record.aux += 1
                    case "payload": record.payload[1] += 1
                    case "tsc": record.tsc += 1
                    default: record.privatePayload[0] += 1
                    }
                }
                log.event(record)
            }
            return try log.finish().chunks(TTLOG_STREAM_EVENT)[0].digests
        }
        let before = try write(changed: false)
        let after = try write(changed: true)
        #expect(before[0] == 0 && before[1] == 0)
        #expect(
            zip(before, after).map { $0 != $1 } == [false, false, expected == "position", expected == "payload"])
    }

    @Test func digestsAndChainFollowTheSpecification() throws {
        let image = try write()
        func hash(_ columns: ArraySlice<[UInt8]>, seed: UInt32) -> UInt64 {
            columns.flatMap { $0 }.withUnsafeBytes { ttlog_hash($0.baseAddress, $0.count, UInt64(seed)) }
        }
        for stream in [TTLOG_STREAM_BRANCH, TTLOG_STREAM_EVENT, TTLOG_STREAM_ACCESS] {
            var previous: UInt64 = 0
            for chunk in image.chunks(stream) {
                let isBranch = stream == TTLOG_STREAM_BRANCH
                let columns = try #require(chunk.columns(isBranch ? 7 : 13))
                let count = chunk.header.count
                let expected: [UInt64]
                if isBranch {
                    expected = [
                        hash(columns[0...2], seed: count), hash(columns[3...4], seed: count),
                        hash(columns[5...6], seed: count), 0,
                    ]
                } else {
                    expected = [0, 0, hash(columns[0...4], seed: count), hash(columns[5...8], seed: count)]
                    #expect(columns[9...12].map(\.count).reduce(0, +) == Int(chunk.header.private_size))
                }
                #expect(chunk.digests == expected)
                #expect(chunk.header.chain == chain(after: previous, chunk))
                previous = chunk.header.chain
            }
        }
    }
}
