// SPDX-License-Identifier: GPL-2.0-or-later

import TestSupport
import Testing

@testable import RunDirectory

@Suite struct ManifestTests {
    private func manifest() -> Manifest {
        var manifest = Manifest(
            kind: .recording, recordingUUID: "0123", created: "2026-01-01T00:00:00Z", tool: "tt-record",
            engine: EngineRecord(
                name: "other", version: "1.2", details: .object(["own": .array([.integer(1), .string("x")])])),
            files: [
                GuestFile(role: "kernel", identity: identity("/k")),
                GuestFile(role: "disk 0", identity: identity("/disk", "22")),
            ])
        manifest.outcome = RunOutcome(
            reason: .guestShutdown, text: "the guest shut down", process: .exited(status: 0),
            instructions: 1 << 60 + 1, seconds: 1.5, messages: ["a"])
        return manifest
    }

    private func write(_ manifest: Manifest, _ path: String) throws {
        try Files.replace(path, with: try manifest.json(path: path))
    }

    @Test func comesBackAsItWasWritten() throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("manifest.json")
        try write(manifest(), path)
        #expect(try Manifest.read(path) == manifest())
    }

    @Test func numbersBeyondADoubleSurvive() throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("manifest.json")
        try write(manifest(), path)
        let text = String(decoding: try Files.contents(path), as: UTF8.self)
        #expect(text.contains("\"\(UInt64(1) << 60 + 1)\""))
    }

    @Test(arguments: [
        ("", "not a manifest"), ("{}", "not a manifest"), ("[1]", "not a manifest"),
        ("{\"schema\": \"other\", \"schemaVersion\": 1}", "not a manifest"),
        ("{\"schema\": \"tt-analyze manifest\", \"schemaVersion\": 3}", "version 3"),
        ("{\"schema\": \"tt-analyze manifest\", \"schemaVersion\": 1}", "damaged"),
        ("{\"schema\": \"tt-analyze manifest\", \"schemaVersion\": 2}", "kind is missing"),
        ("{\"schema\": \"tt-analyze manifest\"}", "no version"),
    ])
    func whatIsNoManifestIsRefused(text: String, reason: String) throws {
        let scratch = try temporaryDirectory()
        let path = try scratch.write("manifest.json", text)
        let error = #expect(throws: RunError.self) { try Manifest.read(path) }
        let message = error.map { "\($0)" } ?? ""
        #expect(message.contains(path))
        #expect(message.contains(reason), "\(message)")
    }

    /// A manifest as tt-record 0.1 wrote it.
    @Test func version1IsRead() throws {
        let manifest = try Manifest.parse(Array(Self.version1.utf8), path: "manifest.json")
        #expect(manifest.kind == .recording && manifest.recordingUUID == "f6e3a5a0c0d14ad5a3e6b5c8f0a1b2c3")
        #expect(manifest.engine.name == "qemu" && manifest.engine.version == "7.2.22 (Debian)")
        #expect(manifest.kernel == identity("/g/tiny.elf", "aa"))
        #expect(manifest.files.map(\.role) == ["kernel", "disk 0"])
        #expect(manifest.outcome?.instructions == 583_000_001)
        let details = manifest.engine.details
        #expect(details["program"]?.string == "/usr/bin/qemu-system-x86_64")
        #expect(details["guest"]?["kernel"]?.string == "/g/tiny.elf")
        #expect(details["guest"]?["disks"]?.array?.first?["image"]?.string == "/g/disk.img")
        #expect(details["inputLog"]?["path"]?.string == "replay.bin")
        #expect(details["pluginAPI"]?.integer == 1)
    }

    private static let version1 = """
        {"schema": "tt-analyze manifest", "schemaVersion": 1, "kind": "recording",
         "recordingUUID": "f6e3a5a0c0d14ad5a3e6b5c8f0a1b2c3", "created": "2026-01-01T00:00:00Z", "tool": "tt-record 0.1",
         "qemu": {"path": "/usr/bin/qemu-system-x86_64", "version": "7.2.22 (Debian)"},
         "plugin": {"file": {"path": "/p/libttd.so", "size": "1", "sha256": "bb"}, "mode": "branches", "codec": "zstd",
                    "accesses": true, "mmio": false, "options": []},
         "guest": {"machine": "pc", "cpu": "qemu64", "memory": "128M",
                   "kernel": {"path": "/g/tiny.elf", "size": "1", "sha256": "aa"},
                   "disks": [{"image": {"path": "/g/disk.img", "size": "1", "sha256": "cc"}, "format": "raw",
                              "device": "virtio-blk-pci"}],
                   "devices": [], "instructionClock": {}, "extraArguments": []},
         "arguments": ["/usr/bin/qemu-system-x86_64"], "pluginAPI": 1,
         "inputLog": {"path": "/old/place/replay.bin", "size": "9", "sha256": "dd"},
         "outcome": {"reason": "guest-shutdown", "text": "x", "process": {"exited": {"status": 1}},
                     "instructions": "583000001", "seconds": 1, "wasInterrupted": false, "messages": []}}
        """

    @Test func theSameFilesAreNoDifference() {
        var list: [ManifestDifference] = []
        list.compare(manifest().files, manifest().files)
        #expect(list.isEmpty)
    }

    /// The path of a file does not count, only its contents.
    @Test func aFileThatMovedIsNoDifference() {
        var moved = manifest().files
        moved[0].identity.path = "/elsewhere/k"
        var list: [ManifestDifference] = []
        list.compare(manifest().files, moved)
        #expect(list.isEmpty)
    }

    @Test func eachChangedFileIsNamed() {
        let files = manifest().files
        var changed = files
        changed[1].identity.sha256 = "33"
        let initrd = GuestFile(role: "initrd", identity: identity("/i"))
        for (now, roles) in [(changed, ["disk 0"]), ([files[0]], ["disk 0"]), (files + [initrd], ["initrd"])] {
            var list: [ManifestDifference] = []
            list.compare(files, now)
            #expect(list.map(\.what) == roles)
        }
    }
}

private func identity(_ path: String, _ sha256: String = String(repeating: "0", count: 64)) -> FileIdentity {
    FileIdentity(path: path, size: 1, sha256: sha256)
}
