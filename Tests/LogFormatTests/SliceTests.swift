// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Testing

@Suite("Slices")
struct SliceTests {
    /// A log of two vCPUs with events, accesses and an epoch on the first.
    static func sample(_ path: String, isCompressed: Bool = true) throws {
        var options = LogWriter.Options()
        options.branchCellShift = 6
        options.eventCellShift = 8
        options.vcpuCount = 2
        options.isCompressed = isCompressed
        let writer = try LogWriter(path: path, options: options)
        var numbers = Numbers(3)
        for round in 0..<2000 as Range<UInt64> {
            for vcpu in 0..<2 as Range<UInt16> {
                let clock = writer.clock(vcpu: vcpu)
                if round % 7 == UInt64(vcpu) {
                    writer.event(
                        Event(
                            stream: .event, vcpu: vcpu, kind: .interrupt, validity: [.ip, .icount, .value],
                            info: UInt32(round), clock: clock, icount: round * 10, ip: numbers.next(),
                            payload: Event.payload(words: [round])))
                }
                if round % 3 == 0 {
                    writer.event(
                        Event(
                            stream: .access, vcpu: vcpu, kind: .rdtsc, validity: [.icount, .value], clock: clock,
                            icount: round * 10, payload: Event.payload(words: [numbers.next()])))
                }
                writer.branch(
                    vcpu: vcpu, from: 0x1000 + numbers.next() % 64, to: 0x1000 + numbers.next() % 64,
                    icount: round * 10 + 5, label: BranchLabel(.jcc, hasStaticTarget: round & 1 == 0))
            }
            if round == 1500 { writer.beginEpoch(vcpu: 0, clock: 5000) }
        }
        writer.attribute("guest", "sample")
        writer.comparableEnd(clock: 9999, icount: 4, reason: "why not")
        writer.runEnd(.guestShutdown, text: "off")
        try writer.close()
    }

    static func records(_ log: LogFile, from: UInt64, to: UInt64) -> [String] {
        var lines: [String] = []
        for vcpu in log.vcpus {
            var branches = log.branches(vcpu: vcpu, from: from, to: to)
            while let branch = branches.next() { lines.append("\(vcpu) \(branch)") }
            var events = log.events([.event, .access], vcpu: vcpu, from: from, to: to)
            while var event = events.next() {
                (event.ordinal, event.ticket) = (0, 0)
                lines.append("\(vcpu) \(event)")
            }
        }
        return lines
    }

    @Test(
        "hold the range, whole cells with the original's digests",
        arguments: [(0, .max), (64, 640), (100, 1000), (1400, 5200), (0, 1), (5000, .max)] as [(UInt64, UInt64)])
    func range(from: UInt64, to: UInt64) throws {
        let scratch = Scratch()
        try SliceTests.sample(scratch.file("original"))
        let original = try LogFile(path: scratch.file("original"))
        let summary = try slice(original, to: scratch.file("slice"), from: from, to: to)
        #expect(summary.skipped == [])
        let cut = try LogFile(path: scratch.file("slice"))
        #expect(cut.structuralDamage == [])
        #expect(cut.header.clockBase == from)
        let expected = SliceTests.records(original, from: from, to: to)
        #expect(!expected.isEmpty)
        #expect(SliceTests.records(cut, from: 0, to: .max) == expected)
        #expect(summary.branches + summary.events == UInt64(expected.count))
        #expect(cut.verify().damage == [])

        let partial: ChunkFlags = [.partialHead, .partialTail]
        let digests = Dictionary(
            cut.chunks.filter { $0.stream.isCompared && $0.flags.isDisjoint(with: partial) }
                .map { ("\($0.vcpu) \($0.stream) \($0.cell) \($0.part) \($0.clockFirst)", $0) }
        ) { first, _ in first }
        var compared = 0
        for chunk in original.chunks {
            let key = "\(chunk.vcpu) \(chunk.stream) \(chunk.cell) \(chunk.part) \(chunk.clockFirst)"
            guard let other = digests[key], chunk.flags.isDisjoint(with: partial) else { continue }
            #expect(other.digests == chunk.digests)
            compared += 1
        }
        if to > from + 64 { #expect(compared > 0) }
        #expect(cut.attributes["guest"] == "sample")
        #expect(cut.attributes["slice.from"] == String(from))
        #expect(cut.comparableEnd(vcpu: 0)?.clock == min(to, 9999))
        #expect(cut.runEnd?.reason == .guestShutdown)
    }

    @Test("an instruction-count base comes from the branch before")
    func icountBase() throws {
        let scratch = Scratch()
        try SliceTests.sample(scratch.file("original"))
        let original = try LogFile(path: scratch.file("original"))
        try slice(original, to: scratch.file("slice"), from: 100, to: 200)
        #expect(try LogFile(path: scratch.file("slice")).header.icountBase == 99 * 10 + 5)
    }

    @Test("refused: an empty range, the log itself")
    func refused() throws {
        let scratch = Scratch()
        try SliceTests.sample(scratch.file("original"))
        let original = try LogFile(path: scratch.file("original"))
        #expect(throws: LogError.self) { try slice(original, to: scratch.file("slice"), from: 5, to: 5) }
        #expect(throws: LogError.self) { try slice(original, to: scratch.path + "/./original", from: 0) }
        let other = scratch.file("other")
        try writeBytes([1, 2, 3], other)
        #expect(throws: LogError(file: other, kind: .cannotCreate(errno: 17))) {
            try slice(original, to: other, replacing: false, from: 0)
        }
        #expect(try readBytes(other) == [1, 2, 3])
        let writer = try LogWriter(path: scratch.file("busy"))
        #expect(throws: LogError.self) { try slice(original, to: scratch.file("busy"), from: 0) }
        try writer.close()
        #expect(try LogFile(path: scratch.file("busy")).chunks.isEmpty)
        #expect(throws: LogError.self) { try slice(original, to: scratch.file("no/such/directory"), from: 0) }
        #expect(try LogFile(path: scratch.file("original")).verify().isIntact)
    }

    @Test("elided bodies leave a gap, and events inside it stay")
    func elided() throws {
        let scratch = Scratch()
        var options = LogWriter.Options()
        options.mode = .digest
        options.branchCellShift = 4
        options.keptCells = 2
        options.window = 32..<64
        let writer = try LogWriter(path: scratch.file("original"), options: options)
        for clock in 0..<160 as Range<UInt64> {
            if clock % 10 == 0 {
                writer.event(Event(stream: .event, kind: .interrupt, info: 3, clock: clock))
            }
            writer.branch(from: clock, to: clock + 1, icount: clock, label: BranchLabel(.jmp))
        }
        try writer.close()
        let original = try LogFile(path: scratch.file("original"))
        #expect(original.chunks(.branch, vcpu: 0).count == 10)
        #expect(original.chunks(.branch, vcpu: 0).filter { !$0.isElided }.map(\.cell) == [2, 3, 8, 9])
        #expect(original.verify().isIntact)
        let summary = try slice(original, to: scratch.file("slice"), from: 8)
        #expect(summary.branches == 64)
        #expect(summary.events == 15)
        #expect(summary.skipped.count == 6)
        let cut = try LogFile(path: scratch.file("slice"))
        #expect(cut.verify().damage == [])
        #expect(Set(cut.chunks(.branch, vcpu: 0).map(\.epoch)).count == 2)
        #expect(SliceTests.records(cut, from: 0, to: .max) == SliceTests.records(original, from: 8, to: .max))
    }
}
