// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Testing

@Suite("Cursors and headers")
struct CursorTests {
    @Test("any range of clocks is what filtering everything gives", arguments: [false, true])
    func ranges(isAbandoned: Bool) throws {
        let scratch = Scratch()
        try SampleLog(branches: 100, isAbandoned: isAbandoned).write(to: scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        var all: [Branch] = []
        var cursor = log.branches()
        while let branch = cursor.next() { all.append(branch) }
        #expect(all.count == 100)
        for from in [0, 1, 15, 16, 17, 49, 51, 99, 101, 150, 151, UInt64.max] {
            for to in [0, 1, 16, 51, 52, 101, 149, UInt64.max] {
                let expected = all.filter { $0.clock >= from && ($0.clock < to || to == .max) }
                var found: [Branch] = []
                var cursor = log.branches(from: from, to: to)
                while let branch = cursor.next() { found.append(branch) }
                #expect(found == expected)
                var count = 0
                var batches = log.branches(from: from, to: to)
                while batches.nextBatch({ batch, range in
                    #expect(range.allSatisfy { batch[$0].clock >= from })
                    count += range.count
                }) {}
                #expect(count == expected.count)
            }
        }
    }

    @Test("a narrow range reads one chunk's bytes")
    func reading() throws {
        let scratch = Scratch()
        try SampleLog().write(to: scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        var cursor = log.branches(vcpu: 1, from: 40, to: 42)
        #expect(cursor.next()?.clock == 40)
        #expect(cursor.next()?.clock == 41)
        #expect(cursor.next() == nil)
        let chunk = try #require(log.chunks(.branch, vcpu: 1).first { $0.cell == 2 })
        #expect(log.bytesRead == UInt64(chunk.storedSize))
    }

    @Test("events of several streams come merged, and an epoch that steps back comes after the one before")
    func merged() throws {
        let scratch = Scratch()
        let writer = try LogWriter(path: scratch.file("log"))
        func event(_ stream: LogStream, _ clock: UInt64, _ icount: UInt64?) {
            writer.event(
                Event(
                    stream: stream, kind: stream == .event ? .interrupt : .rdtsc,
                    validity: icount == nil ? [] : .icount,
                    clock: clock, icount: icount ?? 0))
        }
        event(.access, 1, 5)
        event(.access, 2, 20)
        event(.access, 2, 30)
        event(.access, 3, nil)
        event(.event, 2, 10)
        event(.event, 2, 25)
        event(.event, 3, 40)
        event(.event, 4, nil)
        writer.beginEpoch(clock: 1)
        event(.event, 1, 50)
        event(.access, 1, 45)
        try writer.close()
        let log = try LogFile(path: scratch.file("log"))
        var cursor = log.events([.access, .event])
        var seen: [String] = []
        while let event = cursor.next() { seen.append("\(event.stream.name) \(event.clock) \(event.icount)") }
        #expect(
            seen == [
                "access 1 5", "event 2 10", "access 2 20", "event 2 25", "access 2 30", "event 3 40", "access 3 0",
                "event 4 0", "access 1 45", "event 1 50",
            ])
        #expect(log.structuralDamage == [])
        var late = log.events([.event], from: 2, to: 4)
        #expect(late.next()?.icount == 10)
        #expect(late.next()?.icount == 25)
        #expect(late.next()?.icount == 40)
        #expect(late.next() == nil)
        #expect(log.chunks(.event, vcpu: 0).last?.flags.contains(.gapBefore) == true)
    }

    @Test("meta records: the last attribute, comparable end and run end are valid; a run directory is a log")
    func meta() throws {
        let scratch = Scratch()
        let path = scratch.file("ttd.log")
        let writer = try LogWriter(path: path)
        writer.attribute("a", "1")
        writer.attribute("b", "x=y")
        writer.attribute("a", "")
        writer.meta(.annotation, text: "note")
        try writer.close()
        for clock in [10, 20] as [UInt64] {
            let appended = try LogWriter(appendingTo: scratch.path)
            appended.comparableEnd(clock: clock, icount: clock == 20 ? nil : 7, reason: "r\(clock)")
            appended.comparableEnd(vcpu: 3, clock: 5, icount: 1, reason: "three")
            appended.runEnd(clock == 20 ? .hung : .guestShutdown, text: "t\(clock)")
            appended.attribute("b", "z\(clock)")
            try appended.close()
        }
        for path in [path, scratch.path, scratch.path + "/"] {
            let log = try LogFile(path: path)
            #expect(log.completeness == .closed)
            #expect(log.attributes == ["a": "", "b": "z20"])
            #expect(log.comparableEnd(vcpu: 0)! == (20, nil, "r20"))
            #expect(log.comparableEnd(vcpu: 3)! == (5, 1, "three"))
            #expect(log.comparableEnd(vcpu: 1) == nil)
            #expect(log.runEnd! == (.hung, "t20"))
            #expect(log.metaEvents.count == 12)
            #expect(log.metaEvents[3].text == "note")
            #expect(log.verify().isIntact)
        }
    }

    @Test("the header is read as it was written")
    func header() throws {
        let scratch = Scratch()
        var options = LogWriter.Options()
        options.runKind = .replay
        options.clock = .instructions
        options.mode = .events
        options.vcpuCount = 7
        options.features = [.icount, .labels, .state, .causes]
        options.uuid = try #require(RecordingUUID("00112233-4455-6677-8899-aabbccddeeff"))
        options.recorder = .xen
        options.recorderGeneration = 4
        options.recorderName = "a recorder"
        options.clockBase = 1 << 40
        options.icountBase = 99
        options.nonce = 5
        options.createdUnixNanoseconds = 6
        try LogWriter(path: scratch.file("log"), options: options).close()
        let header = try LogFile(path: scratch.file("log")).header
        #expect(header.runKind == .replay)
        #expect(header.clock == .instructions)
        #expect(header.mode == .events)
        #expect(header.vcpuCount == 7)
        #expect(header.features == options.features)
        #expect(header.features.names == ["icount", "labels", "causes", "state"])
        #expect(header.uuid.description == "00112233-4455-6677-8899-aabbccddeeff")
        #expect(header.recorder == .xen)
        #expect(header.recorderGeneration == 4)
        #expect(header.recorderName == "a recorder")
        #expect(header.clockBase == 1 << 40)
        #expect(header.icountBase == 99)
        #expect(header.nonce == 5)
        #expect(header.createdUnixNanoseconds == 6)
        #expect(header.machine == .x86_64)
        #expect(header.version == 1)
        #expect(try LogFile(path: scratch.file("log")).vcpus == Array(0..<7))
        #expect(RecordingUUID("0011") == nil)
        #expect(!RecordingUUID.unknown.isKnown)
    }

    @Test("unknown kinds keep their numbers and are counted; unknown streams are skipped")
    func unknown() throws {
        let scratch = Scratch()
        let writer = try LogWriter(path: scratch.file("log"))
        writer.event(Event(stream: .event, kind: EventKind(rawValue: 77), info: 4, clock: 1, payload: [1, 2, 3]))
        writer.event(Event(stream: .access, kind: .rdtsc, clock: 2))
        try writer.close()
        var log = try LogFile(path: scratch.file("log"))
        var cursor = log.events()
        let found = cursor.next()
        let event = try #require(found)
        #expect(event.kind.name == "kind-77")
        #expect(EventKind(name: "kind-77") == event.kind)
        #expect(event.payload == [1, 2, 3])
        #expect(log.verify().unknownKinds == [EventKind(rawValue: 77): 1])

        var image = LogImage(bytes: try readBytes(scratch.file("log")))
        let access = try #require(image.chunks.first { image.stream(ofChunkAt: $0) == 3 })
        image.bytes[access + 32] = 9
        image.repairChunk(at: access)
        image.bytes.removeSubrange(image.end(ofChunkAt: access)...)
        try writeBytes(image.bytes, scratch.file("log"))
        log = try LogFile(path: scratch.file("log"))
        #expect(log.chunks.count == 1)
        let damage = try #require(log.structuralDamage.first)
        #expect(damage.what == .field(structure: .chunkHeader, name: "stream", found: 9))
        #expect(damage.length == UInt64(image.end(ofChunkAt: access) - access))
    }

    @Test("every kind and label has a name that reads back")
    func names() {
        for kind in EventKind.all { #expect(EventKind(name: kind.name) == kind) }
        #expect(EventKind(name: "nonsense") == nil)
        #expect(Set(EventKind.all.map(\.name)).count == EventKind.all.count)
        for raw in 0..<64 as Range<UInt8> {
            let label = BranchLabel(rawValue: raw)
            let isKnown = label.branchClass != .unknown || raw & 31 == 31
            if isKnown { #expect(BranchLabel(name: label.name) == label) }
        }
        #expect(BranchLabel(name: "jcc!") == BranchLabel(.jcc, hasStaticTarget: true))
        #expect(BranchLabel(.none).isDiscontinuity)
        #expect(BranchLabel(.jcc).isDiscontinuity)
        #expect(!BranchLabel(.ret).isDiscontinuity)
    }

    @Test("an event's payload as address, values and text")
    func payloadViews() {
        var event = Event(stream: .access, kind: .mmioRead, payload: Event.payload(words: [7, 8, 9]) + [1])
        #expect(event.address == nil)
        #expect(event.values == [])
        event.validity = [.address]
        #expect(event.address == 7)
        event.validity = [.address, .value]
        #expect(event.values == [8, 9])
        event.payload = [1, 2]
        #expect(event.address == nil)
        #expect(event.values == [])
        event = Event(stream: .meta, kind: .attribute, payload: Array("k\0v\0w".utf8))
        #expect(event.attribute! == ("k", "v\0w"))
        #expect(event.text == "k=v\0w")
        event.payload = Array("k".utf8)
        #expect(event.attribute == nil)
    }
}
