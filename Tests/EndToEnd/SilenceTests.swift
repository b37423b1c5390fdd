// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// A QEMU that answers no more, here because it was stopped by a signal: it is started again, at the same place.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(3)))
    struct SilenceTests {
        private final class Notes {
            var list: [String] = []
        }

        private func session(_ directory: String, _ notes: Notes) throws -> TravelSession {
            let places = try RunPlaces(
                log: LogFile(path: directory), inputLog: QEMUReplayLog(path: "\(directory)/replay.bin"))
            setenv("TTD_PLUGIN", Products.plugin, 0)
            var options = ReplaySide.Options()
            options.answerTime = 2
            let session = try TravelSession(
                RepeatableRun(directory, comparedWith: directory), places: places, options: options)
            try session.keepCheckpoints()
            session.onSilence = { notes.list.append($0) }
            return session
        }

        private func registers(_ session: TravelSession) throws -> [String] {
            try session.registers().list.map { "\($0.name)=\($0.value)" }
        }

        /// Ways forwards and back, by the monitor and by single steps.
        @Test(arguments: TravelTests.Version.allCases) func aWayGoesOnInAnotherQEMU(version: TravelTests.Version) throws
        {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let truth = try TravelTests.session(directory)
            let notes = Notes()
            let session = try session(directory, notes)
            let last = session.places.end.brctr
            let ways = [
                (last / 4, last / 2), (last / 2, last / 4), (last / 2, last * 3 / 4), (last / 4 + 40, last / 4 + 3),
            ]
            for (index, (start, brctr)) in ways.enumerated() {
                // A way back begins with a checkpoint, which QEMU is asked to load.
                for place in [last / 8, start] {
                    try session.go(to: session.places.destination(brctr: place))
                    try session.keepCheckpointHere()
                }
                let destination = try session.places.destination(brctr: brctr)
                try truth.go(to: destination)
                let before = session.side.engineProcess
                kill(before, SIGSTOP)
                try session.go(to: destination)
                #expect(session.side.engineProcess != before)
                #expect(notes.list.count == index + 1)
                #expect(try session.position() == truth.position() && session.position().brctr == brctr)
                #expect(try registers(session) == registers(truth))
                let differences = session.side.memory.differences(from: truth.side.memory)
                #expect(differences.count == 0, "brctr \(brctr): \(differences.count) words")
            }
            #expect(notes.list.allSatisfy { $0.contains("QEMU") && $0.hasSuffix("killed and started again") })
            // Without the way round, the error says what has happened.
            kill(session.side.engineProcess, SIGSTOP)
            let error = #expect(throws: RunError.self) { _ = try session.registers() }
            #expect("\(error.map { "\($0)" } ?? "")".contains("did not answer"))
        }

        /// gdb does not see that its server has another QEMU: breakpoints hold, and a way back ends where it has to.
        @Test(arguments: TravelTests.Version.allCases) func gdbGoesOn(version: TravelTests.Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let notes = Notes()
            let session = try session(directory, notes)
            let address = try GoingBackTruth.address(of: "sort_numbers", in: Products.guest("tiny"))
            let resolver = PlaceResolver(places: session.places, directory: directory)
            func place(_ nth: Int) throws -> LogPosition {
                try resolver.destination(of: #require(Place("*\(address):\(nth)"))).position
            }
            try session.go(to: resolver.destination(of: #require(Place("*\(address):5"))))
            let server = try DebuggerServer(session, socket: "\(session.privateDirectory)/silence")
            server.commands = { _ in .init("brctr \(try session.position().brctr ?? 0)") }
            // Each time it is another QEMU.
            let number = scratch.file("number")
            func write() throws { try Files.replace(number, with: Array("\(session.side.engineProcess)\n".utf8)) }
            try write()
            session.onSilence = {
                notes.list.append($0)
                do { try write() } catch { Issue.record(error) }
            }
            let silence = "shell kill -STOP $(cat \(number))"
            let commands = [
                "set pagination off", "set remotetimeout 60", "target extended-remote \(server.socket)",
                "hbreak *\(address)", silence, "reverse-continue", "monitor tt where",
                silence, "continue", "monitor tt where", silence, "maintenance flush register-cache",
                "info registers rip", silence, "reverse-stepi", "monitor tt where", "disconnect",
            ]
            let gdb = try RunningTool("/usr/bin/gdb", ["-nx", "-batch"] + commands.flatMap { ["-ex", $0] })
            server.onWait = { if !gdb.isRunning { throw RunError.engine(problem: "gdb has ended", output: "") } }
            try server.serve()
            let result = try gdb.wait(seconds: 20)
            let found = (result.out + result.err).split(whereSeparator: \.isNewline).compactMap { line in
                line.hasPrefix("brctr ") ? UInt64(line.dropFirst(6)) : nil
            }
            let (fourth, fifth) = (try #require(place(4).brctr), try #require(place(5).brctr))
            #expect(found == [fourth, fifth, fifth - 1], "\(result)")
            #expect(result.out.contains("rip            0x\(String(address, radix: 16))"), "\(result)")
            #expect(notes.list.count == 4, "\(notes.list)")
        }
    }
}
