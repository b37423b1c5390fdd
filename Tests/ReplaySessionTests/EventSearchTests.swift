// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Searches for events in a log, beside a walk through all of its events.
struct EventSearchTests {
    @Test(arguments: [
        ("io", EventPattern(.io)), ("io@0x3f8", EventPattern(.io, number: 0x3f8)),
        ("mmio@4276092928", EventPattern(.mmio, number: 0xfee0_0000)), ("switch", EventPattern(.addressSpace)),
        ("interrupt@32", EventPattern(.kind(.interrupt), number: 32)),
        ("kind-77", EventPattern(.kind(EventKind(rawValue: 77)))),
    ])
    func patternsAreReadAndWritten(text: String, pattern: EventPattern) {
        #expect(EventPattern(text) == pattern)
        #expect(EventPattern(pattern.description) == pattern)
        let place = Place("event:\(text):3")
        #expect(place == .events(pattern, nth: 3) && Place(place?.description ?? "") == place)
        #expect(Place("event:\(text)") == .events(pattern, nth: 1))
    }

    @Test(arguments: ["", "ios", "io@", "io@x", "attribute", "run-end", "io@1@2", "rdtsc@1"]) func otherTextIsNoPattern(
        text: String
    ) {
        #expect(EventPattern(text) == nil && Place("event:\(text)") == nil)
    }

    // MARK: - A log with several chunks

    private static let places: [UInt64] = [5, 1000, 70_000, 70_001, 200_000, 280_000, 400_000]

    /// Seven cells of 65,536 transitions. At each of ``places`` the guest writes to a port, then to device memory, and then
    /// loads cr3 or switches its stack.
    private func log(_ scratch: TemporaryDirectory, _ features: FileHeader.Features) throws -> LogFile {
        var options = LogWriter.Options()
        options.features = features
        options.eventCellShift = 16
        let path = scratch.file("ttd.log")
        let writer = try LogWriter(path: path, options: options)
        for (number, clock) in Self.places.enumerated() {
            let port: UInt64 = number == 2 ? 0xcfc : 0x3f8
            _ = writer.event(
                Event(
                    stream: .access, kind: .portWrite, validity: [.icount, .ip, .address], info: 4, clock: clock,
                    icount: clock * 10, payload: Event.payload(words: [port])))
            _ = writer.event(
                Event(
                    stream: .access, kind: .mmioRead,
                    validity: number == 4 ? [.icount, .ip] : [.icount, .ip, .address], info: 4, clock: clock,
                    icount: clock * 10 + 1, payload: number == 4 ? [] : Event.payload(words: [0xfee0_00b0])))
            // Bits 0 to 11 of cr3 are no address.
            let space: UInt64 = [0, 0x1000, 0x1000, 0x2000, 0x2005, 0x1000, 0x1000][number]
            _ = writer.event(
                Event(
                    stream: .event, kind: .context, validity: [.icount, .ip, .value], clock: clock,
                    icount: clock * 10 + 2, payload: Event.payload(words: [space, 0])))
        }
        try writer.close()
        return try LogFile(path: path)
    }

    @Test func eventsAreFoundBothWays() throws {
        let log = try log(try TemporaryDirectory(), [.icount, .accesses, .mmio, .context])
        try #require(log.chunks(.access, vcpu: 0).count > 3)
        let search = EventSearch(log)
        // The second round uses what the first one has learnt of the chunks.
        for _ in 0..<2 {
            let end = LogPosition(brctr: 500_000, icount: 5_000_000)
            #expect(try search.last(EventPattern(.io), before: end).event?.clock == 400_000)
            let rare = try search.last(EventPattern(.io, number: 0xcfe), before: end)
            #expect(rare.event?.clock == 70_000 && rare.unknown == 0)
            #expect(try search.last(EventPattern(.io, number: 0xd00), before: end).event == nil)
            // Before the instruction itself there is none; after a transition at the same count there is.
            let at = LogPosition(brctr: 70_000, icount: 700_000)
            #expect(try search.last(EventPattern(.io, number: 0xcfe), before: at).event == nil)
            #expect(try search.last(EventPattern(.io), before: at).event?.clock == 1000)
            let after = LogPosition(brctr: 70_001, icount: 700_000)
            #expect(try search.last(EventPattern(.io), before: after).event?.clock == 70_000)
            #expect(try search.first(EventPattern(.io), after: at).event?.clock == 70_001)
            let device = try search.last(
                EventPattern(.mmio, number: 0xfee0_00b0), before: LogPosition(brctr: 250_000, icount: 2_500_000))
            #expect(device.event?.clock == 70_001 && device.unknown == 1)
        }
    }

    /// A stack switch is none; a space is the same with other bits in cr3; what ran before a chunk is known.
    @Test func switchesOfTheAddressSpace() throws {
        let log = try log(try TemporaryDirectory(), [.icount, .accesses, .mmio, .context])
        let search = EventSearch(log)
        var position = LogPosition(brctr: 500_000, icount: 5_000_000)
        var found: [UInt64] = []
        while let event = try search.last(EventPattern(.addressSpace), before: position).event {
            found.append(event.clock)
            position = LogPosition(brctr: event.clock, icount: event.icount)
        }
        #expect(found == [280_000, 70_001, 1000])
        let second = try search.last(
            EventPattern(.addressSpace, number: 0x2000), before: LogPosition(brctr: 400_000, icount: 0))
        #expect(second.event?.clock == 70_001)
        let third = try search.first(EventPattern(.addressSpace), after: LogPosition(brctr: 0, icount: 0), nth: 3)
        #expect(third.event?.clock == 280_000 && third.count == 3)
    }

    @Test func whatTheLogLacksIsNamed() throws {
        let log = try log(try TemporaryDirectory(), [.icount, .accesses])
        let search = EventSearch(log)
        let start = LogPosition(brctr: 0, icount: 0)
        for (pattern, feature) in [
            (EventPattern(.mmio), "mmio"), (EventPattern(.addressSpace), "context"),
            (EventPattern(.kind(.interrupt)), "causes"),
        ] {
            let error = #expect(throws: PlaceError.self) { try search.first(pattern, after: start) }
            #expect(error?.description.hasSuffix("the log was made without \(feature)") == true)
        }
    }

    // MARK: - A recorded run

    @Test func aRecordedRunBesideAWalk() throws {
        let log = try LogFile(path: "\(packageRoot)/Fixtures/tiny/recording.log")
        let places = try RunPlaces(
            log: log, inputLog: QEMUReplayLog(path: "\(packageRoot)/Fixtures/tiny/recording.replay.bin"))
        var all: [Event] = []
        var cursor = log.events([.access, .event])
        while let event = cursor.next() { all.append(event) }
        #expect(all.count > 2000)
        var random = RandomNumbers(seed: 3)
        for _ in 0..<50 {
            let here = try places.destination(brctr: random.below(places.end.brctr - 1) + 1).position
            for (pattern, kinds) in [
                (EventPattern(.io), [EventKind.portRead, .portWrite]), (EventPattern(.kind(.cpuid)), [.cpuid]),
                (EventPattern(.kind(.discontinuity)), [.discontinuity]),
            ] {
                let before = all.last {
                    kinds.contains($0.kind) && ($0.clock, $0.icount) < (here.brctr ?? 0, here.icount)
                }
                #expect(try places.lastEvent(pattern, before: here)?.event == before)
                let after = all.first {
                    kinds.contains($0.kind) && ($0.clock, $0.icount) > (here.brctr ?? 0, here.icount)
                }
                #expect(try places.firstEvent(pattern, after: here)?.event == after)
            }
        }
        let resolver = PlaceResolver(places: places, directory: packageRoot)
        let third = try resolver.destination(of: #require(Place("event:cpuid:3")))
        let truth = all.filter { $0.kind == .cpuid }
        #expect(third.position.icount == truth[2].icount && third.position.brctr == truth[2].clock)
        for (text, part) in [
            ("event:cpuid:999", "after the last of 264"), ("event:io@0x21", "does not have the number"),
            ("event:switch", "context"),
        ] {
            let error = #expect(throws: PlaceError.self) { try resolver.destination(of: #require(Place(text))) }
            #expect(error?.description.contains(part) == true, "\(text): \(String(describing: error))")
        }
    }
}
