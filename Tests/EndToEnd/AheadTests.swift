// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Another replay that runs ahead of a session and keeps checkpoints.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(3)))
    struct AheadTests {
        /// The other replay, in this process.
        private final class Ahead: ReplayAhead {
            var session: TravelSession?
            var (starts, ends) = (0, 0)

            func start() { starts += 1 }

            func end() {
                ends += 1
                session = nil
            }
        }

        private static func session(
            _ directory: String, _ use: CheckpointUse, in cache: String, space: UInt64 = 256 << 20
        ) throws -> TravelSession {
            let places = try RunPlaces(
                log: LogFile(path: directory), inputLog: QEMUReplayLog(path: "\(directory)/replay.bin"))
            setenv("TTD_PLUGIN", Products.plugin, 0)
            var options = ReplaySide.Options()
            (options.checkpointSpace, options.checkpointUse, options.checkpointDirectory) = (space, use, cache)
            let session = try TravelSession(
                RepeatableRun(directory, comparedWith: directory), places: places, options: options)
            // The small guest takes a tenth of a second.
            session.checkpointSeconds = 0.01
            (session.checkpoints.changeCost, session.checkpoints.worthwhile, session.checkpoints.loadCost) = (0, 0, 0)
            session.checkpoints.rate = 1e6
            return session
        }

        private struct Stop: Error {}

        /// A session goes to places with the checkpoints that another one keeps, takes them over while they are kept, and another
        /// one keeps the rest. The registers are those of a session without checkpoints.
        @Test(arguments: TravelTests.Version.allCases)
        func aSessionUsesWhatIsKeptAhead(version: TravelTests.Version) throws {
            let scratch = try temporaryDirectory()
            let cache = scratch.file("cache")
            let directory = try TravelTests.recorded(scratch, version)
            let plain = try TravelTests.session(directory)
            func registers(_ session: TravelSession, _ brctr: UInt64) throws -> [String] {
                try session.go(to: session.places.destination(brctr: brctr))
                return try session.registers().list.map { "\($0.name)=\($0.value)" }
            }

            let ahead = Ahead()
            ahead.session = try Self.session(directory, .ahead, in: cache)
            var kept = 0
            ahead.session?.onCheckpoint = { _ in
                kept += 1
                if kept == 2 { throw Stop() }
            }
            #expect(throws: Stop.self) { try ahead.session?.keepCheckpointsToEnd(ahead: true) }

            let session = try Self.session(directory, .besideAhead, in: cache)
            try session.keepCheckpoints()
            session.ahead = ahead
            #expect(ahead.starts == 1 && session.checkpointBytes == nil)
            // No second one runs ahead of the same run.
            let second = try Self.session(directory, .ahead, in: cache)
            #expect(second.checkpointBytes == nil)

            let middle = session.places.end.brctr * 3 / 4
            #expect(try registers(session, middle) == registers(plain, middle))
            #expect(ahead.ends == 1 && ahead.starts == 2)
            #expect(session.checkpointBytes != nil && session.checkpointCounts.count >= 3)
            let early = session.places.end.brctr / 2
            #expect(try registers(session, early) == registers(plain, early))

            // The rest of the run gets checkpoints of its own.
            let covered = try #require(session.side.prepared.store?.covered)
            let rest = try Self.session(directory, .ahead, in: cache)
            try rest.keepCheckpointsToEnd(ahead: true)
            #expect(rest.side.prepared.part?.number == 1)
            #expect(rest.checkpointCounts.dropFirst().allSatisfy { $0 + 1000 >= min(covered, rest.end) })
            #expect(rest.side.prepared.store?.covered == rest.end)
        }

        /// A killed replay leaves images that are used or made anew; where there is no room, there are fewer; another recording's
        /// checkpoints are not touched.
        @Test func spaceAndOtherRecordings() throws {
            let scratch = try temporaryDirectory()
            let cache = scratch.file("cache")
            let directory = try TravelTests.recorded(scratch, .old)
            let limit: UInt64 = 6 << 20
            do {
                let small = try Self.session(directory, .ahead, in: cache, space: limit)
                small.checkpointSeconds = 0.001
                try small.keepCheckpointsToEnd(ahead: true)
                let bytes = try #require(small.checkpointBytes)
                #expect(bytes < limit + 2 << 20, "\(bytes)")
                #expect(small.checkpointCounts.count >= 3)
            }
            let stores = try Files.list(cache)
            try #require(stores.count == 1)
            // Its images are damaged as by a kill.
            let image = "\(cache)/\(stores[0])/0/machine.qcow2"
            #expect(truncate(image, off_t(Files.size(image) / 2)) == 0)
            let again = try Self.session(directory, .own, in: cache)
            #expect(again.checkpointCounts == [0])

            let other = try temporaryDirectory()
            let second = try Self.session(try TravelTests.recorded(other, .old), .own, in: cache)
            #expect(second.checkpointCounts == [0])
            #expect(try Files.list(cache).count == 2)
        }

        /// Whether a part of the only store was kept to the end of the run.
        private func isCovered(_ base: String) throws -> Bool {
            guard let store = try? Files.list(base).first,
                let bytes = try? Files.contents("\(base)/\(store)/0/times"),
                let times = CheckpointTimes(text: String(decoding: bytes, as: UTF8.self))
            else { return false }
            return times.covered > 13_000_000
        }

        /// The tool runs ahead beside tt-gdb, and neither it nor a QEMU is left when that is killed.
        @Test(arguments: [SIGTERM, SIGKILL]) func nothingIsLeft(signal: Int32) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .old)
            func processes(_ word: String) throws -> [pid_t] {
                try Files.list("/proc").compactMap { pid_t($0) }.filter { pid in
                    guard pid != getpid(), let line = try? Files.contents("/proc/\(pid)/cmdline") else { return false }
                    let text = String(decoding: line, as: UTF8.self)
                    return text.contains(directory) && text.contains(word)
                }
            }
            let cache = scratch.file("cache")
            let tool = try RunningTool(
                "/usr/bin/env", ["XDG_CACHE_HOME=\(cache)", Products.tool("tt-gdb"), directory, "--serve"])
            if signal == SIGKILL {
                try wait(until: { try !processes("--ahead").isEmpty }, "tt-replay runs ahead")
            } else {
                try wait(until: { try isCovered("\(cache)/tt-analyze/checkpoints") }, "tt-replay has kept checkpoints")
            }
            tool.signal(signal)
            _ = try tool.wait(seconds: 20)
            try wait(until: { try processes("--ahead").isEmpty && processes("rr=replay").isEmpty }, "all have ended")
        }
    }
}
