// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Foundation
import LogFormat
import TestSupport
import Testing

/// Damage never counts as a difference, and slices compare equal to the log that they were cut from.
@Suite("Damage and slices against the complete log")
struct DamagedTailTests {
    /// A log of many chunks.
    private static func write(_ path: String) throws {
        var options = LogWriter.Options()
        options.branchCellShift = 4
        options.eventCellShift = 5
        options.nonce = 7
        options.createdUnixNanoseconds = 1
        options.isCompressed = false
        options.features = [.branches, .icount, .labels, .accesses, .accessValues]
        options.uuid = RecordingUUID(bytes: Array(1...16))
        let writer = try LogWriter(path: path, options: options)
        for round in 0..<400 as Range<UInt64> {
            if round % 5 == 0 {
                writer.event(
                    Event(
                        stream: .event, kind: .discontinuity, validity: [.ip, .icount, .value], clock: round,
                        icount: round * 10, ip: 0x1000 + round, payload: Event.payload(words: [round])))
            }
            if round % 3 == 0 {
                writer.event(
                    Event(
                        stream: .access, kind: .rdtsc, validity: [.ip, .icount, .value], clock: round,
                        icount: round * 10, ip: 0x2000, payload: Event.payload(words: [round * 7])))
            }
            writer.branch(
                from: 0x1000 + round % 64, to: 0x2000 + round % 32, icount: round * 10 + 5,
                label: BranchLabel(.jcc, hasStaticTarget: true))
        }
        writer.comparableEnd(clock: 390, icount: 3900, reason: "shutdown")
        writer.runEnd(.guestShutdown)
        try writer.close()
    }

    @Test("3,000 logs with a zeroed stretch: identical as far as they can be read, with a caveat")
    func zeroedStretches() throws {
        let directory = try temporaryDirectory()
        let (path, damaged) = (directory.file("whole"), directory.file("damaged"))
        try DamagedTailTests.write(path)
        let whole = try LogFile(path: path)
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        var numbers = RandomNumbers(seed: 11)
        for round in 0..<3000 {
            var image = bytes
            let start = 4096 + Int(numbers.next() % UInt64((bytes.count - 4096) / 64)) * 64
            let count = 64 * Int(1 + numbers.next() % 24)
            let end = min(start + count, bytes.count)
            image.replaceSubrange(start..<end, with: [UInt8](repeating: 0, count: end - start))
            // Half of them without the end: as a recorder that was killed leaves them.
            if round % 2 == 1 { image.removeSubrange((bytes.count - 64)...) }
            try ReplayBinEditor.write(image, to: damaged)
            let log = try LogFile(path: damaged)
            let result = round % 4 < 2 ? try align(whole, log) : try align(log, whole)
            switch result.verdict {
            case .identical, .notComparable, .replayEndedEarly, .originalEndedEarly: break
            default: Issue.record("round \(round), zeros at \(start)..<\(end): \(result.verdict)")
            }
            #expect(!result.caveats.isEmpty)
        }
    }

    @Test(
        "a slice and the log that it was cut from are identical over what both hold", arguments: [(100, 300), (0, 250)])
    func sliced(from: UInt64, to: UInt64) throws {
        let directory = try temporaryDirectory()
        try DamagedTailTests.write(directory.file("whole"))
        let whole = try LogFile(path: directory.file("whole"))
        try slice(whole, to: directory.file("slice"), from: from, to: to)
        let part = try LogFile(path: directory.file("slice"))
        #expect(part.comparableEnd(vcpu: 0)?.clock == to)
        #expect(try align(part, whole).verdict == .identical)
        #expect(try align(whole, part).verdict == .identical)
    }

    @Test("positions that span 2^63 and more")
    func farPositions() throws {
        let directory = try temporaryDirectory()
        for name in ["a", "b"] {
            var options = LogWriter.Options()
            options.mode = .events
            options.features = [.icount]
            options.nonce = 7
            let writer = try LogWriter(path: directory.file(name), options: options)
            for clock in [0, 5, 1 << 62, (1 << 63) + 5, UInt64.max - 1] as [UInt64] {
                writer.event(
                    Event(
                        stream: .event, kind: .discontinuity, validity: [.ip, .icount], clock: clock, icount: clock,
                        ip: clock))
            }
            try writer.close()
        }
        let (a, b) = (try LogFile(path: directory.file("a")), try LogFile(path: directory.file("b")))
        #expect(try align(a, b).verdict == .identical)
        #expect(a.verify().isIntact)
        _ = LogSummary(a)
        try slice(a, to: directory.file("slice"), from: 3, to: .max - 1)
        #expect(try LogFile(path: directory.file("slice")).verify().isIntact)
    }

}
