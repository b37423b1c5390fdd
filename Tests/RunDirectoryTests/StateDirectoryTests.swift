// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import TestSupport
import Testing

@testable import RunDirectory

@Suite struct StateDirectoryTests {
    private func pretendRecording(_ directory: StateDirectory) throws {
        try Files.replace(directory.recording.manifest, with: Array("{}".utf8))
        try Files.replace(directory.recording.log, with: [1])
        try Files.replace(directory.inputLog, with: [2])
    }

    @Test func isMadeWithWhatStandsAboveIt() throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("a/b/run")
        let directory = try StateDirectory.create(path, overwrite: false)
        #expect(directory.recording.log == "\(path)/ttd.log")
        #expect(Files.exists(path))
    }

    @Test func isHeldByOneAtATime() throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("run")
        do {
            let directory = try StateDirectory.create(path, overwrite: false)
            try pretendRecording(directory)
            for attempt in [
                { _ = try StateDirectory.open(path) }, { _ = try StateDirectory.create(path, overwrite: true) },
            ] {
                let error = #expect(throws: RunError.self) { try attempt() }
                #expect(error.map { "\($0)" }?.contains("in use by") == true)
                #expect(error.map { "\($0)" }?.contains("process \(getpid())") == true)
            }
            #expect(Files.exists(directory.recording.log))
        }
        _ = try StateDirectory.open(path)
    }

    @Test func aStrangersDirectoryIsLeftAlone() throws {
        let scratch = try temporaryDirectory()
        let precious = try scratch.write("thesis.txt", "years of work")
        let error = #expect(throws: RunError.self) { try StateDirectory.create(scratch.path, overwrite: true) }
        #expect(error.map { "\($0)" }?.contains("thesis.txt") == true)
        #expect(Files.exists(precious))
    }

    @Test func anEarlierRecordingGoesOnlyWhenAsked() throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("run")
        do {
            let directory = try StateDirectory.create(path, overwrite: false)
            try pretendRecording(directory)
            let (name, files) = try directory.makeReplay(name: nil, overwrite: false)
            #expect(name == "1")
            try Files.replace(files.log, with: [3])
            try Files.replace(files.inputLog, with: [4])
        }
        let notes = "\(path)/notes.txt"
        try Files.replace(notes, with: [4])
        #expect(throws: RunError.self) { try StateDirectory.create(path, overwrite: false) }
        let directory = try StateDirectory.create(path, overwrite: true)
        #expect(!Files.exists(directory.recording.log))
        #expect(!Files.exists(directory.inputLog))
        #expect(try directory.replayNames() == [])
        #expect(Files.exists(notes), "a file of the user's was removed")
    }

    @Test func replaysHaveNames() throws {
        let scratch = try temporaryDirectory()
        let directory = try StateDirectory.create(scratch.file("run"), overwrite: false)
        #expect(try directory.makeReplay(name: nil, overwrite: false).name == "1")
        #expect(try directory.makeReplay(name: "7", overwrite: false).name == "7")
        #expect(try directory.makeReplay(name: nil, overwrite: false).name == "8")
        let files = try directory.makeReplay(name: "more-memory", overwrite: false).files
        try Files.replace(files.log, with: [1])
        #expect(throws: RunError.self) { try directory.makeReplay(name: "more-memory", overwrite: false) }
        #expect(Files.exists(files.log))
        _ = try directory.makeReplay(name: "more-memory", overwrite: true)
        #expect(!Files.exists(files.log))
        #expect(try directory.replayNames() == ["1", "7", "8", "more-memory"])
    }

    @Test(arguments: ["", ".", "..", "../x", "a/b", "-x", ".hidden", "a b", "ü", String(repeating: "x", count: 101)])
    func namesThatAreNoNames(name: String) throws {
        let scratch = try temporaryDirectory()
        let directory = try StateDirectory.create(scratch.file("run"), overwrite: false)
        #expect(throws: RunError.self) { try directory.makeReplay(name: name, overwrite: true) }
    }

    @Test func whatIsNoStateDirectory() throws {
        let scratch = try temporaryDirectory()
        #expect(throws: RunError.self) { try StateDirectory.open(scratch.file("nowhere")) }
        let error = #expect(throws: RunError.self) { try StateDirectory.open(scratch.path) }
        #expect(error.map { "\($0)" }?.contains("manifest.json") == true)
    }
}
