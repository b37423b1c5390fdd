// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Positions of the small guest, stopped at under both versions of QEMU. The log's rows and single steps are the truth.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct TravelTests {
        /// The versions of QEMU.
        enum Version: CaseIterable {
            case old, new
        }

        static func recorded(
            _ scratch: TemporaryDirectory, _ version: Version, guest: String = "tiny"
        ) throws -> String {
            let directory = scratch.file("run")
            let qemu = version == .new ? ["--qemu", try #require(Products.qemu10)] : []
            let result = try record(Products.guest(guest), into: directory, ["--memory", "32M"] + qemu)
            try #require(result.status == 0, "\(result)")
            return directory
        }

        static func session(_ directory: String) throws -> TravelSession {
            let places = try RunPlaces(
                log: LogFile(path: directory), inputLog: QEMUReplayLog(path: "\(directory)/replay.bin"))
            #expect(places.warnings == [])
            setenv("TTD_PLUGIN", Products.plugin, 0)
            return try TravelSession(RepeatableRun(directory, comparedWith: directory), places: places)
        }

        /// A number of random places, more with TT_TRAVEL_PLACES.
        private static let count = getenv("TT_TRAVEL_PLACES").flatMap { Int(String(cString: $0)) } ?? 100

        /// The guest is stopped at random rows, and at every delivery and the rows beside it. It is where the row leads to.
        @Test(arguments: Version.allCases) func theGuestStopsWhereTheLogIs(version: Version) throws {
            let scratch = try temporaryDirectory()
            let session = try Self.session(try Self.recorded(scratch, version))
            let places = session.places
            var random = RandomNumbers(seed: 7)
            var chosen = Set((0..<Self.count).map { _ in random.below(places.end.brctr - 1) + 1 })
            var cursor = places.log.branches(from: 0, to: places.end.brctr)
            var rows: [UInt64: Branch] = [:]
            while let branch = cursor.next() {
                // Deliveries; and a jump out of a repeated instruction.
                if branch.label.isDiscontinuity {
                    chosen.formUnion((branch.clock &- 1)...(min(branch.clock + 2, places.end.brctr - 1)))
                }
            }
            #expect(places.deliveries.count > 40)
            cursor = places.log.branches(from: 0, to: places.end.brctr)
            while let branch = cursor.next() {
                if chosen.contains(branch.clock + 1) { rows[branch.clock + 1] = branch }
            }
            var stops = 0
            for brctr in chosen.sorted() {
                guard let row = rows[brctr] else { continue }
                let destination = try places.destination(brctr: brctr)
                try session.go(to: destination.engine)
                let position = try session.position()
                #expect(position.ip == row.to, "brctr \(brctr)")
                #expect(position.brctr == brctr && position.icount == row.icount, "brctr \(brctr): \(position)")
                stops += 1
            }
            #expect(stops > Self.count)
            if Self.count > 100 { print("\(version): \(stops) places") }
        }

        /// The registers and the position of each state of a stretch, from single steps.
        private func steps(_ session: TravelSession, from brctr: UInt64, count: Int) throws -> [[String]] {
            try session.go(to: session.places.destination(brctr: brctr))
            try session.client.drain()
            let found = try (0..<count).map { _ in
                let registers = try session.registers().list.map { "\($0.name)=\($0.value)" }
                try session.client.step()
                return registers
            }
            try session.look()
            return found
        }

        /// Registers at random instruction counts equal those of single steps: in `rep movsb`, where each iteration counts, and
        /// around faults, exceptions and interrupts. The places are gone to backwards too.
        @Test(arguments: Version.allCases) func registersEqualThoseOfSingleSteps(version: Version) throws {
            let scratch = try temporaryDirectory()
            let session = try Self.session(try Self.recorded(scratch, version))
            // QEMU 7.2 goes back to checkpoints.
            try session.keepCheckpoints()
            let places = session.places
            var random = RandomNumbers(seed: 11)
            var cursor = places.log.branches(from: 0, to: places.end.brctr)
            var starts: [UInt64] = []
            while let branch = cursor.next(), starts.count < 2 {
                // The longest stretches are copies of a thousand bytes.
                guard branch.label.isDiscontinuity, branch.icount > 5_000_000 else { continue }
                starts.append(branch.clock - 4)
                cursor = places.log.branches(from: branch.clock + 40_000, to: places.end.brctr)
            }
            #expect(starts.count == 2)
            for start in starts {
                let truth = try steps(session, from: start, count: 500)
                let first = try places.destination(brctr: start).engine
                // Deliveries make two states of one count: the index of a step is found by its place.
                var at: [Int: EnginePlace] = [:]
                var place = first
                for index in 0..<truth.count {
                    at[index] = place
                    let here = places.deliveries(at: place.icount).count
                    place =
                        place.deliveries < here
                        ? EnginePlace(icount: place.icount, deliveries: place.deliveries + 1)
                        : EnginePlace(icount: place.icount + 1)
                }
                var chosen = (0..<8).map { _ in Int(random.below(UInt64(truth.count))) }
                // QEMU 10.0 starts again from the beginning for each step back.
                if version == .new { chosen.sort() }
                for index in chosen {
                    try session.go(to: try #require(at[index]))
                    let found = try session.registers().list.map { "\($0.name)=\($0.value)" }
                    #expect(found == truth[index], "brctr \(start), step \(index)")
                }
            }
        }
    }
}
