// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Replays of recordings from a stranger, with a program that plays QEMU and writes down its arguments: manifests are mutated
/// and files of the layout are odd kinds of files, both at random. Whatever they are, nothing outside the run directory
/// changes, and QEMU gets no argument that the manifest made up.
///
/// TT_HOSTILE_INPUTS is the number of recordings; `make test` tries few.
@Suite(.timeLimit(.minutes(20))) struct HostileRecordingTests {
    static let count = hostileInputs(320)
    static let shards = 4

    /// Part of every path that a stranger wants QEMU to use.
    static let mark = "STRANGE"

    @Test(arguments: 0..<shards) func nothingOutsideChangesAndNothingIsRun(shard: Int) throws {
        let scene = try HostileScene()
        try scene.makeRecording()
        _ = try scene.replay()
        var numbers = RandomNumbers(seed: UInt64(shard))
        for round in 0..<(Self.count / Self.shards) {
            let label: Comment = "shard \(shard), round \(round)"
            let changes = try scene.prepare(&numbers)
            let summary = try? scene.replay()
            let strange = try scene.strangeArguments()
            #expect(strange.isEmpty, "\(label): \(changes): \(strange)")
            #expect(try scene.outsideIsUnchanged(), "\(label): \(changes)")
            // A replay that a stranger's change did not stop ends as QEMU does.
            #expect(summary?.outcome.process != .signaled(signal: SIGKILL), label)
        }
        // Some changes do no harm.
        #expect(scene.started > 1)
        #expect(scene.started < 1 + Self.count / Self.shards / 2)
    }

    /// The same finds what a trusted manifest makes up, if the replay is forced: the test above can fail.
    @Test func aTrustedManifestMayDoMore() throws {
        let scene = try HostileScene(trustsManifest: true)
        var numbers = RandomNumbers(seed: 0)
        let found = try (0..<400).contains { _ in
            _ = try scene.prepare(&numbers)
            _ = try? scene.replay()
            return try !scene.strangeArguments().isEmpty
        }
        #expect(found)
    }
}

/// A recording, the files that it needs, and files outside.
private final class HostileScene {
    private let trustsManifest: Bool
    private let scratch: TemporaryDirectory
    private let directory: String
    private let precious: String
    private let program: String
    private let plugin: String
    private let arguments: String
    private let manifest: JSONValue
    private let inputLog: [UInt8]
    private let outside: [String]
    private(set) var started = 0

    private static let version = "7.2.22 (plays QEMU)"

    init(trustsManifest: Bool = false) throws {
        self.trustsManifest = trustsManifest
        scratch = try temporaryDirectory()
        directory = scratch.file("run")
        arguments = scratch.file("arguments")
        precious = try scratch.write("precious-\(HostileRecordingTests.mark)", "precious\n")
        plugin = try scratch.write("plugin.so", "no library")
        program = try scratch.write(
            "qemu",
            """
            #!/bin/sh
            [ "$1" = --version ] && echo 'QEMU emulator version \(Self.version)' && exit
            [ "$1" = -L ] && exit
            printf '%s\\n' "$@" >> '\(arguments)'
            """)
        inputLog = try Files.contents("\(packageRoot)/Fixtures/tiny/recording.replay.bin")
        let kernel = try scratch.write("kernel.elf", "a kernel")
        let initrd = try scratch.write("initrd", "a RAM disk")
        let data = try scratch.write("data", "for the guest")
        var guest = GuestConfiguration()
        (guest.kernel, guest.initrd, guest.commandLine) = (kernel, initrd, "console=ttyS0")
        guest.devices = ["isa-debug-exit,iobase=0xf4,iosize=4", "e1000,netdev=n"]
        guest.extraArguments = [
            "-netdev", "user,id=n", "-object", "filter-replay,id=r,netdev=n", "-fw_cfg", "name=opt/x,file=\(data)",
        ]
        var settings = PluginConfiguration(file: try FileIdentity(of: plugin, what: "plugin"))
        settings.options = ["kept=4"]
        let details = QEMUDetails(program: program, plugin: settings, guest: guest, arguments: [program, "-S"])
        var manifest = Manifest(
            kind: .recording, recordingUUID: "00112233445566778899aabbccddeeff", created: "2026-01-01T00:00:00Z",
            tool: "a tool", engine: EngineRecord(name: "qemu", version: Self.version, details: .null),
            files: try GuestFile.identify([("kernel", kernel), ("initrd", initrd), ("file 1 of the arguments", data)])
        )
        manifest.engine.details = try JSONValue(encoding: details)
        manifest.outcome = RunOutcome(
            reason: .guestShutdown, text: "the guest shut down", process: .exited(status: 0), instructions: 5,
            seconds: 1,
            messages: [])
        self.manifest = try JSONValue(encoding: manifest)
        // The run directory, and the list of arguments once there is one.
        outside = try (Files.list(scratch.path) + ["arguments", "run"]).sorted()
    }

    /// Makes the recording anew.
    func makeRecording() throws {
        removeRecording()
        try Files.makeDirectory("\(directory)/replays/1")
        try Files.replace("\(directory)/replay.bin", with: inputLog)
        for name in ["ttd.log", "serial.log", "qemu.log", "replays/1/ttd.log", "replays/1/qemu.log"] {
            try Files.replace("\(directory)/\(name)", with: [0x41])
        }
        let text = Array(try JSONEncoder().encode(manifest))
        try Files.replace("\(directory)/manifest.json", with: text)
        try Files.replace(arguments, with: [])
    }

    /// Makes the recording anew, with some changes. Returns them in words.
    func prepare(_ numbers: inout RandomNumbers) throws -> String {
        try makeRecording()
        var words: [String] = []
        var mutation = ManifestMutation(precious: precious, numbers: numbers)
        try Files.replace("\(directory)/manifest.json", with: mutation.apply(to: manifest, &words))
        numbers = mutation.numbers
        if numbers.below(3) == 0 {
            let kind = OddFile.allCases.randomElement(using: &numbers) ?? .link
            let inner = RunFiles.allNames.randomElement(using: &numbers) ?? "ttd.log"
            let name = numbers.below(2) == 0 ? inner : "replays/1/\(inner)"
            try kind.make("\(directory)/\(name)", target: precious)
            words.append("\(name) as \(kind)")
        }
        return words.joined(separator: "; ")
    }

    /// Nothing of a stranger's directory is followed.
    private func removeRecording() {
        for place in ["\(directory)/replays/1", "\(directory)/replays", directory] {
            for name in (try? Files.list(place)) ?? [] {
                let path = "\(place)/\(name)"
                if unlink(path) != 0 { rmdir(path) }
            }
        }
    }

    func replay() throws -> RunSummary {
        var options = QEMUEngine.ReplayOptions()
        options.program = program
        options.trustsManifest = trustsManifest
        options.logging.plugin = plugin
        var replay = Replay<QEMUEngine>(options: options, tool: "a test")
        (replay.name, replay.overwrite, replay.timeLimit) = ("1", true, 10)
        replay.force = trustsManifest
        let summary = try replay.run(of: directory)
        started += 1
        return summary
    }

    /// The arguments of QEMU that name a stranger's file, apart from texts for the guest.
    func strangeArguments() throws -> [String] {
        let list = String(decoding: try Files.contents(arguments), as: UTF8.self).split(separator: "\n").map(
            String.init)
        let texts: Set<String> = ["-append", "-fw_cfg", "-smbios", "-name"]
        return list.indices.filter { index in
            list[index].contains(HostileRecordingTests.mark) && !(index > 0 && texts.contains(list[index - 1]))
                || list[index].hasPrefix("-") && !ManifestMutation.expectedOptions.contains(list[index])
        }.map { list[$0] }
    }

    func outsideIsUnchanged() throws -> Bool {
        try Files.contents(precious) == Array("precious\n".utf8) && Files.list(scratch.path).sorted() == outside
    }
}
