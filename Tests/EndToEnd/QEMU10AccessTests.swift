// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

extension EndToEndTests.QEMU10 {
    /// Reads that are disturbed, against the values that the guest reports (hypervisor/guests/tiny/accesses.c).
    @Suite(.serialized, .timeLimit(.minutes(2)))
    struct Accesses {
        /// An instruction under test, as the guest prints it.
        private struct Place {
            var name: String
            var address: UInt64
            var next: UInt64 = 0
            var values: [UInt64] = []
        }

        /// The guest's notes and its log; a replay has the same.
        private struct Run {
            var places: [Place] = []
            /// In the order of their positions, accesses before events.
            var events: [Event] = []
            let directory: String
            private let scratch: TemporaryDirectory

            init(_ more: [String] = []) throws {
                scratch = try temporaryDirectory()
                directory = scratch.file("run")
                let qemu = try #require(Products.qemu10)
                let options = ["--qemu", qemu] + EndToEndTests.QEMU10.everything + more
                let result = try record(Products.guest("accesses"), into: directory, options)
                try #require(result.status == 0, "\(result)")
                let serial = String(decoding: try Files.contents("\(directory)/serial.log"), as: UTF8.self)
                for line in serial.split(whereSeparator: \.isNewline) {
                    let words = line.split(separator: "=")
                    guard words.count == 2, let number = UInt64(words[1], radix: 16) else { continue }
                    switch words[0] {
                    case "next": places[places.count - 1].next = number
                    case "value": places[places.count - 1].values.append(number)
                    default: places.append(Place(name: String(words[0]), address: number))
                    }
                }
                try #require(serial.contains("accesses: end"), "\(serial)")

                let log = try LogFile(path: directory)
                var cursor = log.events([.access, .event])
                while let event = cursor.next() { events.append(event) }
                #expect(try replay(directory).status == 0)
                let report = try run(
                    Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/1"])
                #expect(report.status == 0 && report.out.hasPrefix("identical\n"), "\(report)")
            }

            func place(_ name: String) throws -> Place {
                try #require(places.first { $0.name == name }, "the guest does not name \(name)")
            }

            /// The port, clock, msr and random number accesses of a place.
            func accesses(at place: Place) -> [Event] {
                events.filter { $0.stream == .access && $0.ip == place.address && !$0.kind.isMMIO }
            }

            func deliveries(at address: UInt64) -> [Event] {
                events.filter { [.interrupt, .exception].contains($0.kind) && $0.ip == address }
            }
        }

        @Test func everyValueIsThatWhichTheGuestSaw() throws {
            let run = try Run()
            let expected = [
                "ins_fault", "rep_ins_fault", "outs_fault", "rep_outs_fault", "ins_device", "outs_device",
                "movs_device",
                "ins_own_block", "ins_own_block", "ins_own_block", "in_interrupt", "rdtsc_interrupt", "rdmsr_interrupt",
                "fetch_fault",
            ]
            #expect(run.places.map(\.name) == expected)
            for name in Set(expected) {
                let places = run.places.filter { $0.name == name }
                let noted = places.flatMap(\.values)
                let place = try #require(places.first)
                let reads =
                    name == "movs_device"
                    ? run.events.filter { $0.kind == .mmioRead && $0.ip == place.address }.suffix(1)
                    : run.accesses(at: place)[...]
                #expect(reads.compactMap(\.values.first) == noted, "\(name)")
            }
        }

        /// An operand whose page is not there: the instruction begins twice, and reads once. A device that it has read
        /// before the fault it reads again.
        @Test func anAccessThatFaultsHasNoValueUntilItBeginsAgain() throws {
            let run = try Run()
            for (name, page) in [("ins_fault", 0), ("outs_fault", 10)] as [(String, UInt64)] {
                let place = try run.place(name)
                let records = run.accesses(at: place)
                #expect(records.map(\.values.count) == [0, 1], "\(name)")
                let fault = try #require(run.deliveries(at: place.address).first)
                #expect(fault.kind == .exception && fault.info == 14 && fault.address == 0x400_0000 + page << 12)
                #expect(records.map(\.address) == [records[0].address, records[0].address])
                #expect(records.first?.icount == fault.icount && records.first?.clock == fault.clock)
                #expect(records.last.map { $0.icount > fault.icount } == true)
            }
            // The ninth of 16 bytes, the fourth of 6; the last record is the check that ends the instruction.
            for (name, before, after) in [("rep_ins_fault", 8, 8), ("rep_outs_fault", 3, 3)] {
                let place = try run.place(name)
                let records = run.accesses(at: place)
                let expected =
                    Array(repeating: 1, count: before) + [0] + Array(repeating: 1, count: after) + [0]
                #expect(records.map(\.values.count) == expected, "\(name)")
                let fault = try #require(run.deliveries(at: place.address).first)
                #expect(run.deliveries(at: place.address).count == 1)
                #expect(records.dropFirst(before).first?.icount == fault.icount)
            }
            let device = try run.place("movs_device")
            let reads = run.events.filter { $0.ip == device.address && $0.kind == .mmioRead }
            #expect(reads.map(\.values) == [device.values, device.values])
            let fault = try #require(run.deliveries(at: device.address).first)
            #expect(reads.first?.icount == fault.icount && reads.last.map { $0.icount > fault.icount } == true)
        }

        /// An interrupt, or the fault of an instruction that cannot be fetched, directly after a read.
        @Test func aReadWithADeliveryRightAfterItKeepsItsPlaceAndValue() throws {
            let run = try Run()
            for name in ["in_interrupt", "rdtsc_interrupt", "rdmsr_interrupt", "fetch_fault"] {
                let place = try run.place(name)
                let read = try #require(run.accesses(at: place).first)
                #expect(run.accesses(at: place).count == 1, "\(name)")
                #expect(read.values == place.values, "\(name)")
                let delivery = try #require(run.deliveries(at: place.next).first, "\(name)")
                #expect(delivery.kind == (name == "fetch_fault" ? .exception : .interrupt))
                #expect(delivery.icount == read.icount + 1 && delivery.clock == read.clock, "\(name)")
            }
        }

        /// An ins that stores into its own block, which QEMU restarts, was one access; with an operand in a device it
        /// is recorded beside the device's.
        @Test func anInsThatIsRestartedHasOneRecord() throws {
            let run = try Run()
            let log = try LogFile(path: run.directory)
            #expect(log.attributes["recorder.restarted-instructions"].flatMap { UInt64($0) } == 3)
            #expect(run.accesses(at: try run.place("ins_own_block")).map(\.values.count) == [1, 1, 1])
            let device = try run.place("ins_device")
            let writes = run.events.filter { $0.ip == device.address && $0.kind == .mmioWrite }
            #expect(writes.last?.values == device.values)
        }

        /// A processor model with rdrand and rdseed: each run has other numbers, a replay the recording's.
        @Test func randomNumbersAreRecorded() throws {
            let runs = try [Run(["--cpu", "max"]), Run(["--cpu", "max"])]
            let names = ["rdrand32", "rdrand16", "rdrand64", "rdrand_interrupt", "rdseed64"]
            for run in runs {
                for name in names {
                    let place = try run.place(name)
                    let records = run.accesses(at: place)
                    #expect(records.map(\.kind) == [.rdrand] && records.first?.values == place.values, "\(name)")
                }
                let delivery = try #require(run.deliveries(at: try run.place("rdrand_interrupt").next).first)
                #expect(delivery.kind == .interrupt)
                let serial = Files.tail("\(run.directory)/serial.log")
                #expect(serial == Files.tail("\(run.directory)/replays/1/serial.log"))
            }
            let numbers = try runs.map { run in try run.place("rdrand64").values }
            #expect(numbers[0] != numbers[1])
        }
    }
}

extension EventKind {
    fileprivate var isMMIO: Bool { self == .mmioRead || self == .mmioWrite }
}
