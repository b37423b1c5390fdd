// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Where checkpoints are, what ways take, and which one goes where there is no room.
struct CheckpointTests {
    private static func times(_ list: [(UInt64, Double)], covered: UInt64) -> CheckpointTimes {
        var times = CheckpointTimes()
        times.covered = covered
        for (icount, seconds) in list { times.insert(icount, seconds: seconds) }
        return times
    }

    @Test func timesAreText() throws {
        let times = Self.times([(0, 0), (1000, 0.5), (1010, 2)], covered: 5000)
        #expect(times.text == "covered 5000\n0 0\n1000 500\n1010 2000\n")
        #expect(CheckpointTimes(text: times.text) == times)
        for text in ["covered", "5 x\n", "7 0\n7 0\n", "9 0\n8 0\n", "1 2 3\n"] {
            #expect(CheckpointTimes(text: text) == nil, "\(text)")
        }
    }

    @Test func aWayTakesTheTimeThatWasMeasured() {
        var times = Self.times([(0, 0), (1000, 0.5), (1010, 2)], covered: 5000)
        #expect(times.seconds(at: 500) == 0.25 && times.seconds(at: 1005) == 1.5 && times.seconds(at: 1010) == 2.5)
        #expect(times.seconds(at: 5001) == nil && CheckpointTimes().seconds(at: 0) == nil)
        // A new one divides an interval, and without it the interval is whole again.
        times.insert(1006, seconds: 1.5)
        #expect(times.entries[3] == .init(icount: 1010, seconds: 0.5) && times.total == 2.5)
        times.remove(1006)
        #expect(times.entries[2] == .init(icount: 1010, seconds: 2) && times.total == 2.5)
        #expect(times.last(upTo: 1009) == 1000 && times.first(after: 1000) == 1010 && times.first(after: 1010) == nil)
    }

    @Test func imagesDecideWhatThereIs() {
        var times = Self.times([(0, 0), (10, 1), (20, 1)], covered: 30)
        times.keep(only: [0, 20, 25], unknown: 7)
        #expect(
            times.entries == [
                .init(icount: 0, seconds: 0), .init(icount: 20, seconds: 2), .init(icount: 25, seconds: 7),
            ])
    }

    @Test func theOneThatIsMissedLeastGoes() {
        var checkpoints = Checkpoints()
        checkpoints.times = Self.times([(0, 0), (10, 1), (20, 0.5), (30, 0.25), (40, 1), (50, 1)], covered: 60)
        #expect(checkpoints.leastUseful() == 20)
        // Where the user goes back and forth, they stay.
        for _ in 0..<3 { checkpoints.visit(25) }
        #expect(checkpoints.leastUseful() == 10)
        checkpoints.times = Self.times([(0, 0), (10, 1)], covered: 60)
        #expect(checkpoints.leastUseful() == nil)
    }

    @Test func oneIsDueAfterItsTime() {
        var checkpoints = Checkpoints()
        checkpoints.pass(instructions: 1_000_000, seconds: 0.3)
        #expect(!checkpoints.isDue(beforeVisit: false) && checkpoints.isDue(beforeVisit: true))
        checkpoints.pass(instructions: 1_000_000, seconds: 0.3)
        #expect(checkpoints.isDue(beforeVisit: false) && checkpoints.rate == 1_000_000 / 0.3)
        // One that takes long, or a run that is long for the room, has fewer.
        checkpoints.cost = 1
        #expect(!checkpoints.isDue(beforeVisit: false) && checkpoints.wanted == 4)
        (checkpoints.cost, checkpoints.most) = (0.1, 10)
        checkpoints.times = Self.times([(0, 0), (10, 20)], covered: 10)
        #expect(checkpoints.wanted == 2)
    }

    /// QEMU did not wait until the images were on the disk.
    @Test func imagesAreUsedUntilTheComputerStartsAgain() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("0")
        let part = try #require(CheckpointPart(directory, number: 0, over: []))
        try part.prepare()
        #expect(!part.isReady)
        try part.setReady()
        part.times = Self.times([(0, 0)], covered: 7)
        #expect(part.isReady && CheckpointPart.times(directory)?.covered == 7)
        for earlier in ["", "5ec0ad6c-8b1c-4f0c-9a0e-000000000000\n"] {
            try Files.replace("\(directory)/ready", with: Array(earlier.utf8))
            #expect(!part.isReady && CheckpointPart.times(directory) == nil)
        }
    }
}
