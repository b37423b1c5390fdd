// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// gdb goes to the accesses and events of a log, back and forward, beside a walk through the log's events.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct EventTravelTests {
        /// A command of gdb and the events to which it may lead.
        private struct Way {
            var command: String
            var isForward = false
            var isWanted: (Event) -> Bool
        }

        /// The port, address or vector that comes up most rarely, but more than once, among events of some kinds.
        private func rare(_ events: [Event], _ kinds: [EventKind]) throws -> UInt64 {
            var counts: [UInt64: Int] = [:]
            for event in events where kinds.contains(event.kind) {
                if let address = event.address { counts[address, default: 0] += 1 }
            }
            let most = counts.filter { $0.value > 1 }.min { ($0.value, $0.key) < ($1.value, $1.key) }
            return try #require(most).key
        }

        private func touches(_ event: Event, _ number: UInt64) -> Bool {
            event.address.map { number &- $0 < UInt64(max(1, event.info & 0xff)) } ?? false
        }

        @Test func gdbGoesToTheEventsOfTheLog() throws {
            let scratch = try temporaryDirectory()
            let directory = scratch.file("run")
            let recorded = try record(
                Products.guest("accesses"), into: directory,
                ["--qemu", #require(Products.qemu10)] + EndToEndTests.QEMU10.everything)
            try #require(recorded.status == 0, "\(recorded)")
            let log = try LogFile(path: directory)
            var events: [Event] = []
            var cursor = log.events([.access, .event])
            while let event = cursor.next() { events.append(event) }

            let io: [EventKind] = [.portRead, .portWrite]
            let device: [EventKind] = [.mmioRead, .mmioWrite]
            let (port, register) = (try rare(events, io), try rare(events, device))
            let ways = [
                Way(command: "back io") { io.contains($0.kind) },
                Way(command: "back io 0x\(String(port, radix: 16))") { io.contains($0.kind) && touches($0, port) },
                Way(command: "forward io 0x3f8", isForward: true) { io.contains($0.kind) && touches($0, 0x3f8) },
                Way(command: "forward mmio", isForward: true) { device.contains($0.kind) },
                Way(command: "forward event rdtsc", isForward: true) { $0.kind == .rdtsc },
                Way(command: "back event port-write@0x3f8") { $0.kind == .portWrite && touches($0, 0x3f8) },
                Way(command: "back mmio \(register)") { device.contains($0.kind) && touches($0, register) },
                Way(command: "back event cpuid") { $0.kind == .cpuid },
            ]
            let start = try #require(events.last { $0.kind == .mmioWrite || $0.kind == .mmioRead })
            let commands = ["tt goto @\(start.icount + 40)"] + ways.map { "tt \($0.command)" } + ["tt where"]
            let result = try run(
                Products.tool("tt-gdb"),
                [directory, "--quiet", "--checkpoint-space", "0", "--", "-nx", "-batch"]
                    + (commands + ["tt back io 0xdead", "tt back nothing", "tt goto event:io:99999999"])
                    .flatMap { ["-ex", $0] })
            let places = result.out.split(separator: "\n").filter { $0.hasPrefix("brctr ") }
                .compactMap(TimeTravelToolTests.Where.init)
            try #require(places.count == ways.count + 2, "\(result)")
            #expect(places[0].icount == start.icount + 40)
            for (number, way) in ways.enumerated() {
                let here = places[number]
                let next =
                    way.isForward
                    ? events.first { way.isWanted($0) && $0.icount > here.icount }
                    : events.last { way.isWanted($0) && $0.icount < here.icount }
                let event = try #require(next, "\(way.command): \(result)")
                let found = places[number + 1]
                #expect(
                    found.icount == event.icount && found.rip == event.ip && found.brctr == event.clock,
                    "\(way.command): \(found) is not \(event)")
                #expect(result.out.contains("\n\(event.kind.name)  \(event.details { _ in "" })"), "\(way.command)")
            }
            // gdb itself is at the place.
            #expect(places[ways.count + 1] == places[ways.count])
            for text in [
                "error: no io@0xdead before here", "error: nothing is neither a number nor an event", "no event io",
            ] {
                #expect(result.out.contains(text), "\(text): \(result)")
            }
            try aToolStopsAt(register, directory, events)
        }

        /// The same names are places of `tt-replay --at`.
        private func aToolStopsAt(_ register: UInt64, _ directory: String, _ events: [Event]) throws {
            let wanted = events.filter {
                ($0.kind == .mmioRead || $0.kind == .mmioWrite) && touches($0, register)
            }
            let result = try run(
                Products.tool("tt-replay"),
                [directory, "--at", "event:mmio@0x\(String(register, radix: 16)):2", "--print", "$rip"])
            let position = result.out.split(separator: "\n").first.flatMap {
                TimeTravelToolTests.Where($0.dropFirst("stopped at ".count))
            }
            #expect(position?.icount == wanted[1].icount && position?.rip == wanted[1].ip, "\(result)")
        }
    }
}
