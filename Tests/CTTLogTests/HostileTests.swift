// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc
import Testing

/// Appending reads untrusted files. Any content leads to an error or to a readable log.
@Suite struct HostileTests {
    /// An unclosed log with damage, chunks of all streams, and used slots.
    func makeUnclosed() throws -> (log: [UInt8], open: [UInt8]) {
        let log = try TestLog { options in
            options.vcpu_count = 2
            options.event_chunk_max = 4
            options.access_chunk_max = 4
            options.mode = UInt8(TTLOG_MODE_DIGEST.rawValue)
        }
        for vcpu in [UInt16(0), 1] {
            for (index, record) in someBranches(70).enumerated() {
                log.branch(record, vcpu: vcpu)
                let event = EventRecord(
                    validity: 3, clock: UInt64(index), payload: [UInt8](repeating: 1, count: index),
                    privatePayload: [3])
                log.event(event, vcpu: vcpu)
                log.event(event, stream: TTLOG_STREAM_ACCESS, vcpu: vcpu)
            }
        }
        log.meta(EventRecord(kind: 65, payload: [1]))
        log.abandon()
        return (try readFile(log.path), try readFile(log.openPath))
    }

    @Test func mutatedFilesNeverTrap() throws {
        let (log, open) = try makeUnclosed()
        let directory = try temporaryDirectory()
        let path = directory + "/ttd.log"
        let slots = try OpenImage(path: try write(log, open, path) + ".open").slots
        var numbers = Sequence64(state: 4711)
        var recovered = 0
        for round in 0..<400 {
            var (log, open) = (log, open)
            for _ in 0...Int(numbers.next() % 4) {
                let number = numbers.next()
                let slot = slots[Int(number >> 8) % slots.count]
                let byte = UInt8(truncatingIfNeeded: number >> 56)
                switch number % 8 {
                case 0: log.change(Int(number >> 16) % log.count, byte)
                case 1: log.removeLast(Int(number >> 16) % max(1, log.count - 4096))
                case 2:  // splice chunks
                    let from = 4096 + Int(number >> 20) % ((log.count - 4096) / 64 + 1) * 64
                    log += log[min(from, log.count)..<min(log.count, from + 1000)]
                case 3: open.change(Int(number >> 16) % 4096, byte)
                case 4: open.change(4096 + Int(number >> 16) % (64 * slots.count), byte)
                case 5: open.change(Int(slot.descriptor.offset) + Int(number >> 32) % 56, byte)  // a slot header
                case 6: open.change(Int(slot.descriptor.offset) + 128 + Int(number >> 32) % 512, byte)  // its units
                default: open.removeLast(Int(number >> 16) % open.count / 2)
                }
            }
            _ = try write(log, open, path)
            do {
                let appended = try TestLog(appendingTo: path)
                appended.meta(EventRecord(kind: 65, payload: [UInt8(truncatingIfNeeded: round)]))
                try appended.close()
                recovered += 1
                let last = try readFile(path).suffix(64)
                #expect(Array(last.prefix(5)) == Array("TTEND".utf8))
            } catch let problem as WriterProblem {
                #expect(problem.message.contains(path))
            }
        }
        #expect(recovered > 100)
        removeDirectory(directory)
    }

    @Test func notALogIsAnError() throws {
        let path = try temporaryDirectory() + "/ttd.log"
        for bytes in [[], [1, 2, 3], [UInt8](repeating: 0x89, count: 5000)] {
            try writeFile(path, bytes)
            #expect(throws: WriterProblem.self) { try TestLog(appendingTo: path) }
            #expect(try readFile(path) == bytes)
        }
        unlink(path)
        #expect(throws: WriterProblem.self) { try TestLog(appendingTo: path) }
        #expect(!fileExists(path))
    }

    /// Bytes that are no chunk stay unchanged, because they may still be useful.
    @Test func unknownBytesAtTheEndStay() throws {
        let log = try TestLog()
        for record in someBranches(40) { log.branch(record) }
        try log.close()
        let junk = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7 + 1) }
        let before = try readFile(log.path) + junk
        try writeFile(log.path, before)
        try TestLog(appendingTo: log.path).close()
        let after = try readFile(log.path)
        #expect(Array(after[..<before.count]) == before)
        #expect(Array(after.suffix(64).prefix(5)) == Array("TTEND".utf8))
    }

    private func write(_ log: [UInt8], _ open: [UInt8], _ path: String) throws -> String {
        try writeFile(path, log)
        try writeFile(path + ".open", open)
        return path
    }
}

extension [UInt8] {
    /// Changes a byte, if there is one at this place.
    fileprivate mutating func change(_ place: Int, _ byte: UInt8) {
        if indices.contains(place) { self[place] ^= byte | 1 }
    }
}
