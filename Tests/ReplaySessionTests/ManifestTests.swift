// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import ReplaySession

@Suite struct ManifestTests {
    private func manifest() -> Manifest {
        var guest = GuestConfiguration()
        guest.kernel = identity("/k")
        guest.commandLine = "quiet"
        guest.disks = [.init(image: identity("/disk"), format: "raw", device: "virtio-blk-pci")]
        var manifest = Manifest(
            kind: .recording, recordingUUID: "0123", created: "2026-01-01T00:00:00Z", tool: "tt-record",
            qemu: QEMUIdentity(path: "/q", version: "7.2.22 (Debian)"),
            plugin: PluginConfiguration(file: identity("/p")),
            guest: guest, arguments: ["/q", "-m", "128M"])
        manifest.outcome = RunOutcome(
            reason: .guestShutdown, text: "the guest shut down", process: .exited(status: 0),
            instructions: 1 << 60 + 1, seconds: 1.5, messages: ["a"])
        return manifest
    }

    @Test func comesBackAsItWasWritten() throws {
        let scratch = Scratch()
        let path = "\(scratch.path)/manifest.json"
        try manifest().write(path)
        #expect(try Manifest.read(path) == manifest())
    }

    @Test func numbersBeyondADoubleSurvive() throws {
        let scratch = Scratch()
        let path = "\(scratch.path)/manifest.json"
        try manifest().write(path)
        let text = String(decoding: try Files.contents(path), as: UTF8.self)
        #expect(text.contains("\"\(UInt64(1) << 60 + 1)\""))
    }

    @Test(arguments: [
        ("", "not a manifest"), ("{}", "not a manifest"), ("[1]", "not a manifest"),
        ("{\"schema\": \"other\", \"schemaVersion\": 1}", "not a manifest"),
        ("{\"schema\": \"tt-analyze manifest\", \"schemaVersion\": 2}", "version 2"),
        ("{\"schema\": \"tt-analyze manifest\", \"schemaVersion\": 1}", "damaged"),
        ("{\"schema\": \"tt-analyze manifest\"}", "version none"),
    ])
    func whatIsNoManifestIsSaidToBeNone(text: String, reason: String) {
        let scratch = Scratch()
        let path = scratch.file("manifest.json", text)
        let error = #expect(throws: SessionError.self) { try Manifest.read(path) }
        let message = error.map { "\($0)" } ?? ""
        #expect(message.contains(path))
        #expect(message.contains(reason), "\(message)")
    }

    @Test func theSameIsNoDifference() {
        let manifest = manifest()
        #expect(manifest.differences(qemu: manifest.qemu, guest: manifest.guest).isEmpty)
    }

    /// Where a file lies is not what it is.
    @Test func aFileThatMovedIsNoDifference() {
        let manifest = manifest()
        var guest = manifest.guest
        guest.kernel = identity("/elsewhere/k")
        #expect(manifest.differences(qemu: manifest.qemu, guest: guest).isEmpty)
    }

    @Test func eachChangeIsNamed() {
        let changes: [(String, (inout GuestConfiguration) -> Void)] = [
            ("kernel", { $0.kernel = identity("/k", "11") }),
            ("initrd", { $0.initrd = identity("/i") }),
            ("memory", { $0.memory = MemorySize(mebibytes: 96) }),
            ("CPU", { $0.cpu = "Nehalem" }),
            ("machine", { $0.machine = "q35" }),
            ("kernel command line", { $0.commandLine = nil }),
            ("disk 0", { $0.disks[0].image.sha256 = "22" }),
            ("device of disk 0", { $0.disks[0].device = "ide-hd" }),
            ("number of disks", { $0.disks.append($0.disks[0]) }),
            ("devices", { $0.devices = ["x"] }),
            ("extra arguments", { $0.extraArguments = ["x"] }),
            ("instruction clock", { $0.instructionClock.shift = 7 }),
        ]
        let manifest = manifest()
        for (what, change) in changes {
            var guest = manifest.guest
            change(&guest)
            let differences = manifest.differences(qemu: manifest.qemu, guest: guest)
            #expect(differences.map(\.what) == [what])
        }
    }

    @Test func anotherQEMUIsNamed() {
        let manifest = manifest()
        let other = QEMUIdentity(path: "/q", version: "10.0.2 (Debian)")
        let differences = manifest.differences(qemu: other, guest: manifest.guest)
        #expect(differences.map(\.what) == ["QEMU version"])
        #expect("\(SessionError.differs(directory: "/d", differences: differences))".contains("10.0.2"))
    }
}
