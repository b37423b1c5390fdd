// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// The fields of the second reader's summary line that the tests compare.
private struct Summary: Decodable {
    struct Damage: Decodable {
        var offset: UInt64
        var what: String
    }

    var state: String
    var recovered: Int
    var elided: Int
    var unreadable: Int
    var missing: Int
    var lost: UInt64
    var damage: [Damage]
}

@Suite("The reader that was written from the document alone reads the same")
struct SecondReaderTests {
    /// Reads the logs with both readers and compares header and records.
    @discardableResult
    private func compare(_ paths: [String], scratch: Scratch) throws -> [(summary: Summary, log: LogFile)] {
        let second = try SecondReader.read(paths, output: scratch.file("second-reader.jsonl"))
        try #require(second.count == paths.count)
        return try zip(paths, second).map { path, lines in
            let log = try LogFile(path: path)
            let first = FirstReader(log)
            let summary = try JSONDecoder().decode(Summary.self, from: Data(try #require(lines.last).utf8))
            let records = lines.dropLast()
            let difference = zip(first.lines, records).first { $0 != $1 }
            #expect(difference == nil, "\(path): LogFormat, second reader")
            #expect(first.lines.count == records.count, "\(path): \(summary)")
            #expect(first.elided == summary.elided)
            #expect(first.unreadable == summary.unreadable)
            #expect(log.lostRecords == summary.lost)
            guard summary.damage.isEmpty else { return (summary, log) }
            switch log.completeness {
            case .closed: #expect(summary.state == "closed")
            case .beingWritten: #expect(summary.state == "being written")
            case .unclosed: #expect(summary.state == "killed")
            }
            return (summary, log)
        }
    }

    /// Compares one log that nothing is wrong with.
    private func compareWhole(_ path: String, scratch: Scratch) throws -> Summary {
        let summary = try compare([path], scratch: scratch)[0].summary
        #expect(summary.damage.map(\.what) == [])
        #expect(summary.missing == 0)
        return summary
    }

    /// Text of a log with every kind, every field, three vCPUs, epochs, many cells and parts.
    private func everything(_ options: String, end: String) -> String {
        let kinds = EventKind.all.filter { $0.usualStream != .meta }
        let records = kinds.enumerated().map { number, kind in
            let fields = [
                "", "ip=0xffffffff81000000", "ip=loop rcx=7", "registers=0xfedcba9876543210 value=1 value=2",
                "address=0x3f8 value=0xff tsc=1000", "icount=none tsc=900 private=00ff", "+3 payload=0102030405",
                "info=0xffffffff ip=0 private=\(String(repeating: "ab", count: 64))",
            ]
            let stream = kind.usualStream == .access ? "access" : "event"
            return "\(stream) \(kind.name) info=\(number) \(fields[number % fields.count])\nbranch loop+5 -> loop ret"
        }
        return """
            options vcpus=3 branch-cell-shift=4 event-cell-shift=6 event-max=5 access-max=3 \(options)
            let loop = 0x1000
            attribute guest=tiny
            attribute empty=
            \(records.joined(separator: "\n"))
            repeat 20 {
                branch loop+0x20 -> loop jcc! +7
                branch loop -> 0xffffffff81234567 none +300
                branch 0xffffffff81234567 -> loop+0x10 sysret +0
                event interrupt ip=loop info=32 value=0x9000
            }
            vcpu 2
            branch 0 -> 0xffffffffffffffff unknown +255
            branch 0xffffffffffffffff -> 0x8000000000000000 jmp-indirect +254
            access rdtsc value=5 tsc=77
            vcpu 0
            event trace-gap info=1
            epoch 1000
            repeat 5 {
                branch loop -> loop+2 jmp!
                access port-read address=0x60 value=1
            }
            epoch 1003
            event rewound value=1005 value=3
            branch loop -> loop+0x7fffff call!
            annotation the end is near
            lost event 12
            comparable-end shutdown requested
            run-end guest-shutdown
            \(end)
            """
    }

    @Test("every kind, field, vCPU and epoch", arguments: ["codec=raw", "codec=zstd", "codec=zstd features=branches"])
    func everythingAgrees(options: String) throws {
        let scratch = Scratch()
        try assemble(everything(options, end: ""), to: scratch.file("log"))
        let summary = try compareWhole(scratch.file("log"), scratch: scratch)
        #expect(summary.state == "closed")
    }

    @Test("random branches and events", arguments: [false, true])
    func random(isCompressed: Bool) throws {
        let scratch = Scratch()
        var numbers = Numbers(isCompressed ? 11 : 12)
        var options = LogWriter.Options()
        options.isCompressed = isCompressed
        options.branchCellShift = 9
        options.eventCellShift = 11
        let writer = try LogWriter(path: scratch.file("log"), options: options)
        for branch in RoundTripTests.randomBranches(5000, numbers: &numbers) {
            withUnsafePointer(to: branch) { writer.branches(UnsafeBufferPointer(start: $0, count: 1)) }
            guard numbers.next() % 3 == 0, let kind = EventKind.all.randomElement(using: &numbers) else { continue }
            var event = Event(stream: kind.usualStream, vcpu: kind.usualStream == .meta ? noVCPU : 0, kind: kind)
            event.validity = EventValidity(rawValue: UInt16(numbers.next() & 0x73))
            if numbers.next() & 1 == 0 { event.validity.insert(.rcx) }
            event.clock = writer.clock()
            (event.icount, event.ip, event.aux) = (numbers.next() >> 8, numbers.next(), numbers.next())
            (event.tsc, event.info) = (numbers.next(), UInt32(truncatingIfNeeded: numbers.next()))
            let length = numbers.next() % 100 == 0 ? 65_535 : Int(numbers.next() % 100)
            event.payload = (0..<length).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
            event.privatePayload = (0..<Int(numbers.next() % 65)).map { UInt8($0) }
            #expect(writer.event(event))
        }
        try writer.close()
        _ = try compareWhole(scratch.file("log"), scratch: scratch)
    }

    @Test("time stamps and positions at the ends of their ranges")
    func extremes() throws {
        let scratch = Scratch()
        let writer = try LogWriter(path: scratch.file("log"))
        let values: [UInt64] = [1 << 62, 0, .max, 1, 1 << 62, .max - 1, 127, 128]
        for value in values {
            let event = Event(
                stream: .event, vcpu: 0, kind: .interrupt, validity: [.ip, .icount, .tsc, .rcx], icount: value,
                ip: value, aux: value, tsc: value)
            #expect(writer.event(event))
        }
        try writer.close()
        _ = try compareWhole(scratch.file("log"), scratch: scratch)
        let found = try compare([scratch.file("log")], scratch: scratch)[0].log
        var cursor = found.events()
        for value in values {
            let next = cursor.next()
            let event = try #require(next)
            #expect([event.icount, event.ip, event.aux, event.tsc] == [value, value, value, value])
            #expect(event.validity.contains(.tsc))
        }
    }

    @Test("bodies left out, kept at the end, kept in a window")
    func elided() throws {
        let scratch = Scratch()
        let text = everything("mode=digest kept=2 window=20:40 features=branches,icount,labels,windows", end: "")
        try assemble(text, to: scratch.file("log"))
        let summary = try compareWhole(scratch.file("log"), scratch: scratch)
        #expect(summary.elided > 0)
    }

    @Test("mode events")
    func eventsOnly() throws {
        let scratch = Scratch()
        try assemble(everything("mode=events", end: ""), to: scratch.file("log"))
        _ = try compareWhole(scratch.file("log"), scratch: scratch)
    }

    @Test(
        "a killed recorder's log, then meta appended to it", arguments: ["codec=zstd", "codec=raw mode=digest kept=1"])
    func killed(options: String) throws {
        let scratch = Scratch()
        try assemble(everything(options, end: "abandon"), to: scratch.file("log"))
        let before = try compareWhole(scratch.file("log"), scratch: scratch)
        #expect(before.state == "killed")
        #expect(before.recovered > 0)
        let writer = try LogWriter(appendingTo: scratch.file("log"))
        writer.annotation("appended")
        try writer.close()
        let after = try compareWhole(scratch.file("log"), scratch: scratch)
        #expect(after.state == "closed")
        #expect(after.recovered == 0)
    }

    /// A log of many chunks; a directory lists 4,096.
    private func manyChunks(branches: Int, end: String) -> String {
        """
        options branch-cell-shift=1 event-cell-shift=40 codec=raw nonce=0x1234
        event interrupt ip=1
        repeat \(branches) {
            branch 0x1000 -> 0x1000 jcc!
        }
        \(end)
        """
    }

    @Test("more chunks than a directory lists, closed and recovered")
    func manyDirectories() throws {
        let scratch = Scratch()
        let paths = [scratch.file("closed"), scratch.file("recovered")]
        try assemble(manyChunks(branches: 20_000, end: ""), to: paths[0])
        try assemble(manyChunks(branches: 20_000, end: "abandon"), to: paths[1])
        try LogWriter(appendingTo: paths[1]).close()
        for (summary, log) in try compare(paths, scratch: scratch) {
            #expect(log.completeness == .closed)
            #expect(log.chunks(.branch, vcpu: 0).count == 10_000)
            #expect(log.structuralDamage == [])
            #expect(summary.damage.map(\.what) == [])
        }
    }

    @Test("a recorder that is killed between a directory and the next chunk")
    func killedAfterDirectory() throws {
        let scratch = Scratch()
        let (path, later) = (scratch.file("log"), scratch.file("later"))
        try assemble(manyChunks(branches: 8193, end: "event interrupt ip=2\nabandon"), to: path)
        try assemble(manyChunks(branches: 8195, end: "abandon"), to: later)
        let size = try Data(contentsOf: URL(fileURLWithPath: path)).count + 192 + 4096 * 192 + 64
        let bytes = try Data(contentsOf: URL(fileURLWithPath: later)).prefix(size)
        try #require(bytes.suffix(64).prefix(5) == Data("TTEND".utf8))
        try bytes.write(to: URL(fileURLWithPath: path))

        let before = try compareWhole(path, scratch: scratch)
        #expect(before.state == "killed")
        #expect(before.recovered == 3)
        try LogWriter(appendingTo: path).close()
        let (after, log) = try compare([path], scratch: scratch)[0]
        #expect(after.damage.map(\.what) == [])
        #expect(after.state == "closed")
        #expect(log.chunks(.branch, vcpu: 0).last?.clockLast == 8192)
        #expect(log.chunks(.event, vcpu: 0).last?.endOrdinal == 2)
    }

    @Test("a killed recorder's log without its open file")
    func killedWithoutOpenFile() throws {
        let scratch = Scratch()
        try assemble(everything("", end: "abandon"), to: scratch.file("log"))
        try FileManager.default.removeItem(atPath: scratch.file("log.open"))
        let summary = try compareWhole(scratch.file("log"), scratch: scratch)
        #expect(summary.state == "killed")
        #expect(summary.recovered == 0)
    }

    @Test("a log that is being written")
    func beingWritten() throws {
        let scratch = Scratch()
        let writer = try LogWriter(path: scratch.file("log"))
        for clock in 0..<100_000 { writer.branch(from: UInt64(clock), to: 0x1000, icount: 1, label: BranchLabel(.ret)) }
        writer.event(Event(stream: .event, vcpu: 0, kind: .interrupt, validity: .ip, clock: 100_000, ip: 5))
        let summary = try compareWhole(scratch.file("log"), scratch: scratch)
        #expect(summary.state == "being written")
        #expect(summary.recovered == 100_000 - 65_536 + 1)
        try writer.close()
    }

    @Test("damaged logs", arguments: ["codec=raw", "codec=zstd", "codec=raw mode=digest kept=3"])
    func damaged(options: String) throws {
        let scratch = Scratch()
        try assemble(everything(options, end: ""), to: scratch.file("whole"))
        let whole = try Data(contentsOf: URL(fileURLWithPath: scratch.file("whole")))
        var numbers = Numbers(UInt64(options.utf8.count))
        var paths: [String] = []
        for number in 0..<60 {
            var bytes = whole
            for _ in 0...(number % 3) {
                let place = 4096 + Int(numbers.next() % UInt64(bytes.count - 4096))
                switch number % 4 {
                case 0: bytes[place] ^= UInt8(1 << (numbers.next() % 8))
                case 1: bytes.removeSubrange(place...)
                case 2:
                    let end = min(bytes.count, place + Int(numbers.next() % 2000))
                    bytes.replaceSubrange(place..<end, with: Data(count: end - place))
                default:
                    // A part of the log again, at another place: its chunks must not count as chunks.
                    let length = min(bytes.count - place, 1000) / 64 * 64
                    let source = (4096 + Int(numbers.next() % UInt64(bytes.count - 4096 - length))) / 64 * 64
                    let target = place / 64 * 64
                    bytes.replaceSubrange(target..<(target + length), with: bytes[source..<(source + length)])
                }
                if bytes.count <= 4096 + 64 { break }
            }
            let path = scratch.file("damaged-\(number)")
            try bytes.write(to: URL(fileURLWithPath: path))
            paths.append(path)
        }
        for (path, (summary, log)) in zip(paths, try compare(paths, scratch: scratch)) {
            let verification = log.verify()
            let isMissing = summary.missing + summary.unreadable > 0
            if isMissing { #expect(verification.isIntact == false, "\(path): \(summary.damage)") }
        }
    }
}

extension LogWriter {
    fileprivate func annotation(_ text: String) { meta(.annotation, text: text) }
}
