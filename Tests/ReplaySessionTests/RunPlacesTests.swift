// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Positions of a recorded run (Fixtures/tiny), without QEMU.
struct RunPlacesTests {
    private static let log = "\(packageRoot)/Fixtures/tiny/recording.log"
    private static let inputLog = "\(packageRoot)/Fixtures/tiny/recording.replay.bin"

    private func places() throws -> RunPlaces {
        try RunPlaces(log: LogFile(path: Self.log), inputLog: QEMUReplayLog(path: Self.inputLog))
    }

    /// To QEMU's count and back, for rows among which each delivery is.
    @Test func positionsAreFoundAgain() throws {
        let places = try places()
        #expect(places.warnings.isEmpty && places.deliveries.count > 10)
        let near = places.deliveries.flatMap { [$0.brctr, $0.brctr + 1, $0.brctr + 2] }
        for brctr in near + Array(stride(from: 1, to: places.end.brctr, by: 997)) where brctr < places.end.brctr {
            let row = try #require(try places.branch(brctr - 1))
            let destination = try places.destination(brctr: brctr)
            #expect(destination.position == LogPosition(brctr: brctr, icount: row.icount, ip: row.to))
            let back = try places.position(engine: destination.engine.icount, ip: row.to)
            #expect(back.brctr == brctr && back.icount == row.icount, "\(brctr)")
            #expect(places.cleanStop(upTo: destination.engine.icount) <= destination.engine.icount)
        }
    }

    /// An interrupt has two positions of one count; a restored fault one of the log's and none of QEMU's.
    @Test func deliveriesHaveTwoStates() throws {
        let places = try places()
        for delivery in places.deliveries {
            let after = try places.destination(brctr: delivery.brctr + 1)
            let before = try places.destination(icount: delivery.isFault ? delivery.icount - 1 : delivery.icount)
            #expect(before.engine.icount == after.engine.icount && before.engine < after.engine)
            #expect(before.position.brctr == delivery.brctr)
            #expect(places.cleanStop(upTo: after.engine.icount) < after.engine.icount)
        }
    }

    @Test func stretchesAreFoundBackwards() throws {
        let places = try places()
        let row = try #require(try places.branch(places.end.brctr / 2))
        let found = try #require(
            try places.lastStretch(with: [row.to, 1], before: row.clock + 1, ip: row.to &+ 1))
        #expect(found == RunPlaces.Stretch(brctr: row.clock + 1, addresses: [row.to]))
        // The instruction at the position itself is not before it.
        let earlier = try places.lastStretch(with: [row.to], before: row.clock + 1, ip: row.to)
        #expect(earlier.map { $0.brctr <= row.clock } ?? true)
        #expect(try places.lastStretch(with: [0x1234_5678_9abc], before: places.end.brctr, ip: 0) == nil)
    }

    @Test func missingPlacesAreNamed() throws {
        let places = try places()
        let resolver = PlaceResolver(places: places, directory: packageRoot)
        for text in ["99999999999", "@99999999999", "event:99999", "main", "*0x1", "divergence", "end-99999999999"] {
            #expect(throws: PlaceError.self, "\(text)") {
                try resolver.destination(of: try #require(Place(text)))
            }
        }
    }

    /// Spoilt logs and input logs give errors or other positions, and end no process.
    @Test func spoiltFilesAreNoTrap() throws {
        let scratch = try TemporaryDirectory()
        let files = (log: try Files.contents(Self.log), input: try Files.contents(Self.inputLog))
        var random = RandomNumbers(seed: 5)
        var opened = 0
        for number in 0..<hostileInputs(20) {
            var (log, input) = files
            for _ in 0...number % 3 {
                if number % 2 == 0 {
                    log[Int(random.below(UInt64(log.count)))] = UInt8(truncatingIfNeeded: random.next())
                } else {
                    input[Int(random.below(UInt64(input.count)))] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            try Files.replace(scratch.file("log"), with: log)
            try Files.replace(scratch.file("replay.bin"), with: input)
            guard let inputLog = try? QEMUReplayLog(path: scratch.file("replay.bin")),
                let file = try? LogFile(path: scratch.file("log")),
                let places = try? RunPlaces(log: file, inputLog: inputLog)
            else { continue }
            opened += 1
            let resolver = PlaceResolver(places: places, directory: scratch.path)
            for text in ["1000", "@5000", "event:3", "event:io:5", "event:cpuid@1", "*0x200e30:2", "end-3", "end"] {
                guard let place = Place(text), let found = try? resolver.destination(of: place) else { continue }
                _ = try? places.position(engine: found.engine.icount, ip: found.position.ip ?? 0)
                _ = places.cleanStop(upTo: found.engine.icount)
                _ = try? places.lastStretch(with: [0x200e30, 0x200870], before: found.position.brctr ?? 0, ip: 0)
            }
            for value in [0, 1, UInt64.max, UInt64.max - 1] {
                _ = try? places.destination(brctr: value)
                _ = try? places.destination(icount: value)
                _ = try? places.position(engine: value, ip: 0)
                _ = try? places.destination(engine: value)
                _ = places.cleanStop(upTo: value)
            }
        }
        #expect(opened > 3)
    }
}
