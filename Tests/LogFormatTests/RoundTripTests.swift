// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Testing

@Suite("Written records are read")
struct RoundTripTests {
    /// Branches that use every length code, label and sort of instruction-count step.
    static func randomBranches(_ count: Int, numbers: inout Numbers) -> [RawBranch] {
        var icount: UInt64 = 1000
        var place: UInt64 = 0x1000
        return (0..<count).map { _ in
            let from = place &+ numbers.next() >> [56, 48, 40, 32, 0].randomElement(using: &numbers)!
            let distance =
                Int64(bitPattern: numbers.next()) >> [60, 56, 50, 45, 40, 20, 0].randomElement(using: &numbers)!
            let to = from &+ UInt64(bitPattern: distance)
            switch numbers.next() % 20 {
            case 0: icount &+= numbers.next() % 1000
            case 1: icount &-= numbers.next() % 50
            case 2: icount &+= 253 + numbers.next() % 4
            default: icount &+= numbers.next() % 20
            }
            icount &= (1 << 56) - 1
            place = to
            return RawBranch(
                from: from, to: to, icount: icount, label: BranchLabel(rawValue: UInt8(numbers.next() & 0x3f)))
        }
    }

    @Test("random branches", arguments: [false, true], [1, 2, 3, 255, 256, 257, 5000])
    func branches(isCompressed: Bool, count: Int) throws {
        let scratch = Scratch()
        var numbers = Numbers(UInt64(count))
        let written = RoundTripTests.randomBranches(count, numbers: &numbers)
        var options = LogWriter.Options()
        options.isCompressed = isCompressed
        options.branchCellShift = 8
        let writer = try LogWriter(path: scratch.file("log"), options: options)
        written.withUnsafeBufferPointer { writer.branches($0) }
        try writer.close()

        let log = try LogFile(path: scratch.file("log"))
        #expect(log.completeness == .closed)
        #expect(log.structuralDamage == [])
        #expect(log.chunks.count == (count + 255) / 256)
        var cursor = log.branches()
        var read: [RawBranch] = []
        while let branch = cursor.next() {
            #expect(branch.clock == UInt64(read.count))
            read.append(RawBranch(from: branch.from, to: branch.to, icount: branch.icount, label: branch.label))
        }
        #expect(read == written)
        #expect(cursor.skipped == [])
        for chunk in log.chunks { #expect(try log.checkDigests(chunk)) }
    }

    /// The clock after a branch is the next one's: no branch has the highest clock, one by one or many at once.
    @Test("branches up to the last clock", arguments: [false, true])
    func lastClock(areMany: Bool) throws {
        let scratch = Scratch()
        var options = LogWriter.Options()
        options.clockBase = .max - 3
        let writer = try LogWriter(path: scratch.file("log"), options: options)
        let branches = (0..<6).map { RawBranch(from: 0x1000 + $0, to: 0x2000, icount: $0, label: BranchLabel(.jcc)) }
        if areMany {
            branches.withUnsafeBufferPointer { writer.branches($0) }
        } else {
            for branch in branches {
                writer.branch(
                    from: branch.from, to: branch.to, icount: branch.icountLabel >> 8, label: BranchLabel(.jcc))
            }
        }
        #expect(writer.clock() == .max && writer.lostRecords == 3)
        #expect(writer.event(Event(stream: .event, kind: .interrupt, clock: .max)))
        try writer.close()

        let log = try LogFile(path: scratch.file("log"))
        var cursor = log.branches()
        var clocks: [UInt64] = []
        while let branch = cursor.next() { clocks.append(branch.clock) }
        #expect(clocks == [0, 1, 2].map { options.clockBase + $0 })
        #expect(log.lostRecords == 3)
        var events = log.events([.event])
        #expect(events.next()?.clock == .max)
    }

    @Test("events of every kind, with and without each field")
    func events() throws {
        let scratch = Scratch()
        var numbers = Numbers(7)
        let writer = try LogWriter(path: scratch.file("log"))
        var written: [Event] = []
        var clock: UInt64 = 0
        for number in 0..<10_000 {
            let kind = EventKind.all.randomElement(using: &numbers)!
            guard kind.usualStream != .meta else { continue }
            clock += numbers.next() % 300
            var validity = EventValidity(rawValue: UInt16(numbers.next() & 0x73))
            if numbers.next() & 1 == 0 { validity.insert(.rcx) }
            let length = number % 1000 == 0 ? 65_535 : Int(numbers.next() % 40)
            let event = Event(
                stream: kind.usualStream, vcpu: 0, kind: kind, validity: validity,
                info: UInt32(truncatingIfNeeded: numbers.next()), clock: clock,
                icount: validity.contains(.icount) ? numbers.next() >> 8 : 0,
                ip: validity.contains(.ip) ? numbers.next() : 0,
                aux: validity.contains(.rcx) ? numbers.next() : 0, tsc: validity.contains(.tsc) ? numbers.next() : 0,
                payload: (0..<length).map { _ in UInt8(truncatingIfNeeded: numbers.next()) },
                privatePayload: (0..<Int(numbers.next() % 65)).map { UInt8($0) })
            #expect(writer.event(event))
            written.append(event)
        }
        try writer.close()

        let log = try LogFile(path: scratch.file("log"))
        for stream in [LogStream.event, .access] {
            var cursor = log.events([stream])
            var ordinal: UInt64 = 0
            for var expected in written where expected.stream == stream {
                guard let found = cursor.next() else {
                    Issue.record("the cursor ends early")
                    break
                }
                expected.ordinal = ordinal
                expected.ticket = found.ticket
                #expect(found == expected)
                ordinal += 1
            }
            #expect(cursor.next() == nil)
            #expect(cursor.skipped == [])
        }
        for chunk in log.chunks { #expect(try log.checkDigests(chunk)) }
    }
}
