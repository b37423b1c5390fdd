// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import Testing

@testable import ReplaySession

@Suite struct GuestConfigurationTests {
    private func guest() -> GuestConfiguration {
        var guest = GuestConfiguration()
        guest.kernel = "/k"
        guest.commandLine = "quiet"
        guest.disks = [.init(image: "/disk", format: "raw", device: "virtio-blk-pci")]
        return guest
    }

    @Test func eachChangeIsNamed() {
        let changes: [(String, (inout GuestConfiguration) -> Void)] = [
            ("memory", { $0.memory = MemorySize(mebibytes: 96) }),
            ("CPU", { $0.cpu = "Nehalem" }),
            ("machine", { $0.machine = "q35" }),
            ("kernel command line", { $0.commandLine = nil }),
            ("device of disk 0", { $0.disks[0].device = "ide-hd" }),
            ("number of disks", { $0.disks.append($0.disks[0]) }),
            ("devices", { $0.devices = ["x"] }),
            ("extra arguments", { $0.extraArguments = ["x"] }),
            ("instruction clock", { $0.instructionClock.shift = 7 }),
        ]
        for (what, change) in changes {
            var changed = guest()
            change(&changed)
            #expect(changed.differences(from: guest()).map(\.what) == [what])
        }
        #expect(guest().differences(from: guest()).isEmpty)
    }

    /// QEMU's details in a manifest are read back; another engine's are refused.
    @Test func detailsOfAManifest() throws {
        let program = QEMUProgram(path: "/q", version: "7.2.22 (Debian)")
        let details = QEMUDetails(program: program.path, plugin: nil, guest: guest(), arguments: ["/q"])
        var manifest = Manifest(
            kind: .recording, recordingUUID: "0123", created: "2026-01-01T00:00:00Z", tool: "tt-record",
            engine: EngineRecord(
                name: QEMUEngine.name, version: program.version, details: try JSONValue(encoding: details)),
            files: [])
        #expect(try QEMUDetails(manifest) == details)

        let other = QEMUEngine(
            program: QEMUProgram(path: "/q", version: "10.0.2 (Debian)"), guest: guest(), plugin: nil)
        let differences = try other.differences(from: manifest)
        #expect(differences.map(\.what) == ["QEMU version"])
        #expect("\(RunError.differs(directory: "/d", differences: differences))".contains("10.0.2"))

        manifest.engine.name = "xen"
        #expect(throws: RunError.self) { try QEMUDetails(manifest) }
    }
}
