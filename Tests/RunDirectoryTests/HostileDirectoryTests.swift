// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import TestSupport
import Testing

@testable import RunDirectory

/// Every file of the layout as every odd kind of file: each operation ends soon, and changes nothing outside.
@Suite(.timeLimit(.minutes(2))) struct HostileDirectoryTests {
    private static let names = RunFiles.allNames + [RunFiles.lockName, RunFiles.replaysName]
    private static let replayNames = RunFiles.allNames

    private static let precious = Array("precious\n".utf8)

    /// A directory that looks like a recording with one replay.
    private func recording(_ scratch: TemporaryDirectory) throws -> String {
        let path = scratch.file("run")
        try Files.makeDirectory("\(path)/replays/1")
        for name in RunFiles.allNames where !name.hasSuffix(".new") {
            try Files.replace("\(path)/\(name)", with: Array(Self.manifest.utf8))
            try Files.replace("\(path)/replays/1/\(name)", with: Array(Self.manifest.utf8))
        }
        return path
    }

    private static let manifest = """
        {"schema": "tt-analyze manifest", "schemaVersion": 2, "kind": "recording", "recordingUUID": "00", "tool": "x",
         "created": "", "engine": {"name": "qemu", "version": "1", "details": {}}, "files": []}
        """

    /// Uses all functions of the room on a stranger's directory.
    private func doEverything(_ path: String) {
        _ = try? Manifest.read("\(path)/manifest.json")
        _ = try? StateDirectory.open(path, isShared: true)
        if let directory = try? StateDirectory.open(path) {
            _ = try? directory.recording.readManifest()
            if let manifest = try? directory.recording.readManifest() { try? directory.recording.write(manifest) }
            _ = try? directory.replayNames()
            _ = try? directory.makeReplay(name: nil, overwrite: false)
            _ = try? directory.makeReplay(name: "1", overwrite: true)
        }
        // A link in a path that the user names is the user's.
        var buffer = stat()
        if lstat("\(path)/replays", &buffer) == 0, buffer.st_mode & S_IFMT != S_IFLNK {
            _ = try? StateDirectory.createReplay(at: "\(path)/replays/1", overwrite: true)
        }
        _ = try? StateDirectory.create(path, overwrite: true)
    }

    @Test(arguments: OddFile.allCases) func nothingOutsideIsTouched(kind: OddFile) throws {
        for name in Self.names + Self.replayNames.map({ "replays/1/\($0)" }) + ["replays/1"] {
            let scratch = try temporaryDirectory()
            let target = scratch.file("precious")
            try Files.replace(target, with: Self.precious)
            let path = try recording(scratch)
            let victim = "\(path)/\(name)"
            if name.hasSuffix("replays") || name.hasSuffix("replays/1") {
                try Files.makeDirectory(scratch.file("outside"))
                for file in RunFiles.allNames {
                    _ = try scratch.write("outside/\(file)", "precious\n")
                }
                rename(victim, scratch.file("moved"))
                try kind.make(victim, target: kind == .link ? scratch.file("outside") : target)
            } else {
                try kind.make(victim, target: target)
            }
            doEverything(path)
            #expect(try Files.contents(target) == Self.precious, "\(name) as \(kind)")
            if Files.exists(scratch.file("outside")) {
                for file in RunFiles.allNames {
                    #expect(try Files.contents(scratch.file("outside/\(file)")) == Self.precious, "\(name) as \(kind)")
                }
                #expect(try Files.list(scratch.file("outside")).count == RunFiles.allNames.count, "\(name) as \(kind)")
            }
            #expect(!Files.exists(target + ".missing"), "\(name) as \(kind)")
            chmod(victim, 0o600)
        }
    }

    @Test(arguments: OddFile.allCases.filter { $0 != .unreadable && $0 != .hardLink })
    func aManifestThatIsNoFileIsRefused(kind: OddFile) throws {
        let scratch = try temporaryDirectory()
        let target = scratch.file("precious")
        try Files.replace(target, with: Array(Self.manifest.utf8))
        let path = try recording(scratch)
        try kind.make("\(path)/manifest.json", target: target)
        #expect(throws: RunError.self) { try Manifest.read("\(path)/manifest.json") }
    }

    /// A recording is not removed for one that needs a file in its directory.
    @Test func inputsAreNotRemoved() throws {
        let scratch = try temporaryDirectory()
        let path = try recording(scratch)
        let kernel = "\(path)/k.elf"
        try Files.replace(kernel, with: Self.precious)
        let error = #expect(throws: RunError.self) {
            try StateDirectory.create(path, overwrite: true, inputs: [kernel])
        }
        #expect(error.map { "\($0)" }?.contains("k.elf") == true)
        #expect(Files.exists("\(path)/ttd.log") && Files.exists(kernel))
    }

    @Test func aNumberThatHasNoSuccessor() throws {
        let scratch = try temporaryDirectory()
        let path = try recording(scratch)
        try Files.makeDirectory("\(path)/replays/\(Int.max)")
        #expect(try StateDirectory.open(path).makeReplay(name: nil, overwrite: false).name == "2")
    }
}
