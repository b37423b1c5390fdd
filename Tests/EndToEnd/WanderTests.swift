// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Looking changes nothing: after any number of ways and looks, the run is what it is without them.
///
/// A session wanders; another one goes straight on and is the truth. Both stop at the same places, and there all registers and
/// the whole memory are compared. TT_WANDER_RUN names another run (``WanderInAnotherRun``), TT_WANDER_ACTS the number of things
/// that are done between two comparisons, TT_WANDER_SEED the seed.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct WanderTests {
        static func setting(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

        private static let acts = setting("TT_WANDER_ACTS").flatMap { Int($0) } ?? 12
        private static let seed = setting("TT_WANDER_SEED").flatMap { UInt64($0) } ?? 1

        private static func registers(_ session: TravelSession) throws -> [String] {
            try session.registers().list.map { "\($0.name)=\($0.value)" }
        }

        /// What differs between two sessions at a place.
        private static func compare(_ session: TravelSession, _ truth: TravelSession, _ what: String) throws {
            let (found, wanted) = (try session.position(), try truth.position())
            #expect(found == wanted, "\(what)")
            #expect(try registers(session) == registers(truth), "\(what)")
            let differences = session.side.memory.differences(from: truth.side.memory)
            #expect(differences.count == 0, "\(what): \(differences.count) words, at \(differences.words.prefix(8))")
        }

        /// What the console gets from here on, to the end of the run.
        private static func consoleToEnd(_ session: TravelSession) throws -> [UInt8] {
            let file = session.side.prepared.plan.files.serialLog
            let before = try Files.contents(file).count
            try session.side.begin(to: .max)
            while true {
                let stop = try session.side.poll(seconds: 0.2)
                if stop == nil { continue }
                #expect(stop == .ended)
                break
            }
            return Array(try Files.contents(file)[before...])
        }

        @Test(arguments: TravelTests.Version.allCases)
        func lookingChangesNothing(version: TravelTests.Version) throws {
            let scratch = try temporaryDirectory()
            try Self.wander(in: TravelTests.recorded(scratch, version), checkpointSeconds: 0.02, scratch)
        }

        /// Wanders in a run, and compares with the truth: three times in the middle, at the last place, and after the end.
        static func wander(
            in directory: String, checkpointSeconds: Double? = nil, _ scratch: TemporaryDirectory
        ) throws {
            let truth = try TravelTests.session(directory)
            let session = try TravelTests.session(directory)
            try session.keepCheckpoints()
            if let checkpointSeconds { session.checkpointSeconds = checkpointSeconds }
            var wanderer = try Wanderer(session, seed: Self.seed, scratch)
            let last = truth.places.end.brctr
            var random = RandomNumbers(seed: Self.seed &+ 99)
            let middles = (0..<3).map { index in last / 4 * UInt64(index + 1) + random.below(last / 8) }
            for place in middles {
                for _ in 0..<Self.acts { try wanderer.act() }
                let destination = try truth.places.destination(brctr: place)
                try truth.go(to: destination)
                try session.go(to: destination)
                try compare(session, truth, "brctr \(place)")
            }
            // The comparison sees one instruction, and what some thousand of them write.
            _ = try session.stepBack()
            #expect(try registers(session) != registers(truth))
            try session.go(to: truth.places.destination(brctr: middles[2] - min(20_000, last / 8)))
            #expect(session.side.memory.differences(from: truth.side.memory).count > 0)

            for _ in 0..<Self.acts { try wanderer.act() }
            // From somewhere in the second half straight on: the console's text, the last place, the end.
            let from = last / 2 + random.below(last / 4)
            try session.go(to: truth.places.destination(brctr: from))
            let start = session.current.icount
            let beforeEnd = EnginePlace(icount: truth.end)
            let file = session.side.prepared.plan.files.serialLog
            let written = try Files.contents(file).count
            try truth.go(to: beforeEnd)
            try session.runThrough(to: truth.end)
            try compare(session, truth, "the last place")
            let text = try Files.contents(file)[written...] + consoleToEnd(session)
            _ = try consoleToEnd(truth)
            let recorded = try Files.contents("\(directory)/serial.log")
            let counts = try truth.places.inputLog.consoleBytes()
            #expect(counts.count == recorded.count)
            let expected = recorded.dropFirst(counts.filter { $0 < start }.count)
            #expect(text.elementsEqual(expected), "\(text.count) bytes from \(start)")
            #expect(try Files.contents(truth.side.prepared.plan.files.serialLog) == recorded)
            let differences = session.side.memory.differences(from: truth.side.memory)
            #expect(differences.count == 0, "at the end: \(differences.count) words")
            let done = wanderer.done.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
            let version = session.side.engineVersion
            print("QEMU \(version): \(done); \(text.count) bytes of the console from \(start) to the end")
            #expect(wanderer.done.count >= (Self.acts >= 12 ? 8 : 1), "\(done)")
        }

        /// A recorder that slept in a session that wandered logs the same as the recording has.
        @Test(arguments: TravelTests.Version.allCases)
        func theLogAfterwardsIsTheRecordings(version: TravelTests.Version) throws {
            let scratch = try temporaryDirectory()
            try Self.wanderAndLog(in: TravelTests.recorded(scratch, version), scratch)
        }

        /// Wanders with the recorder asleep, wakes it, and compares its log with the recording's.
        static func wanderAndLog(in directory: String, _ scratch: TemporaryDirectory) throws {
            let places = try RunPlaces(
                log: LogFile(path: directory), inputLog: QEMUReplayLog(path: "\(directory)/replay.bin"))
            let resolver = PlaceResolver(places: places, directory: directory)
            let window = try resolver.window(from: .transitions(places.end.brctr / 8 * 5), to: .end(minus: 0))
            setenv("TTD_PLUGIN", Products.plugin, 0)
            var logging = QEMUEngine.Logging()
            logging.mode = .branches
            var options = ReplaySide.Options()
            options.recorder = SleepingRecorder(
                log: scratch.file("window.log"), logging: logging, clock: window.from.brctr ?? 0,
                icount: window.from.icount)
            let session = try TravelSession(
                RepeatableRun(directory, comparedWith: directory), places: places, options: options)
            try session.keepCheckpoints()
            var wanderer = try Wanderer(session, seed: Self.seed &+ 7, scratch)
            for _ in 0..<Self.acts { try wanderer.act() }
            try session.trace(window)
            let result = try align(places.log, try LogFile(path: scratch.file("window.log")))
            #expect(result.verdict == .identical, "\(result.verdict) \(result.caveats)")
            let chunks = result.statistics.chunksByDigest
            #expect(chunks > 5)
            let from = window.from.brctr ?? 0
            print("QEMU \(session.side.engineVersion): \(chunks) chunks from brctr \(from) equal the recording's")
        }
    }
}

/// The same in a run that TT_WANDER_RUN names, of any length: outside of ``EndToEndTests``, whose tests may take 4 minutes.
@Suite(.serialized, .enabled(if: getenv("TT_WANDER_RUN") != nil, "TT_WANDER_RUN names no run"))
struct WanderInAnotherRun {
    typealias Tests = EndToEndTests.WanderTests

    private let directory = Tests.setting("TT_WANDER_RUN") ?? ""

    @Test func lookingChangesNothing() throws { try Tests.wander(in: directory, temporaryDirectory()) }

    @Test func theLogAfterwardsIsTheRecordings() throws { try Tests.wanderAndLog(in: directory, temporaryDirectory()) }
}
