// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// Records a guest into a state directory.
///
///     var guest = GuestConfiguration()
///     guest.kernel = try FileIdentity(of: "tiny.elf", what: "kernel")
///     let recording = Recording(guest: guest, qemu: try .find(nil), plugin: plugin, tool: "tt-record")
///     let summary = try recording.run(into: "/tmp/run1")
public struct Recording: Sendable {
    public var guest: GuestConfiguration
    public var qemu: QEMUIdentity
    /// nil records QEMU's input log alone: a replay can make the log.
    public var plugin: PluginConfiguration?
    /// For the manifest.
    public var tool: String
    /// Whether an earlier recording in the directory is removed.
    public var overwrite = false
    /// Whether a snapshot of the beginning is kept, for debuggers that go backwards in a replay.
    public var keepsSnapshot = false
    /// End the run after so many seconds.
    public var timeLimit: Double?
    /// Seconds without an instruction until the recording is said to stand still.
    public var standstillPatience: Double = 10

    public init(guest: GuestConfiguration, qemu: QEMUIdentity, plugin: PluginConfiguration?, tool: String) {
        self.guest = guest
        self.qemu = qemu
        self.plugin = plugin
        self.tool = tool
    }

    /// Runs the guest until it ends, is interrupted (SIGINT, SIGTERM, SIGHUP), or the time is up.
    ///
    /// - Parameters:
    ///   - onStandstill: called when the guest's instruction count has stood still, once each time.
    ///   - observe: called a few times a second.
    public func run(
        into path: String, onStandstill: @escaping (Standstill) -> Void = { _ in },
        observe: @escaping (RunStatus) -> Void = { _ in }
    ) throws(SessionError) -> RunSummary {
        try ExtraArguments.check(guest.extraArguments)
        guard guest.kernel != nil || !guest.disks.isEmpty || !guest.extraArguments.isEmpty else {
            throw .missing(what: "guest", name: "to record", remedy: "give --kernel or --disk")
        }
        try plugin?.check(against: qemu)
        let directory = try StateDirectory.create(path, overwrite: overwrite)
        let files = directory.recording
        let uuid = RecordingID.random()
        if keepsSnapshot { try SnapshotImage.create(files.snapshotImage) }
        let command = QEMUCommandLine(
            program: qemu.path, direction: .record, guest: guest, inputLog: directory.inputLog,
            serialLog: files.serialLog,
            plugin: plugin?.argument(log: files.log, runKind: .recording, uuid: uuid, qemu: qemu),
            snapshotImage: keepsSnapshot ? files.snapshotImage : nil)
        var manifest = Manifest(
            kind: .recording, recordingUUID: uuid, created: Clock.timestamp(), tool: tool, qemu: qemu, plugin: plugin,
            guest: guest, arguments: command.arguments)
        try manifest.write(files.manifest)

        let signals = SignalWatch()
        defer { signals.drain() }
        let run = QEMURun(
            directory: directory, files: files, command: command, timeLimit: timeLimit,
            standstill: StandstillWatch(patience: standstillPatience, tell: onStandstill), observe: observe)
        var outcome = try run.run()
        if outcome.reason == .hostError, outcome.instructions == 0, LogCompletion.isEmpty(files.log) {
            // QEMU refused its command line: there is no recording.
            let output = Files.tail(files.qemuLog)
            try directory.removeRecording()
            throw .qemu(problem: "QEMU did not start the guest (\(outcome.process))", output: output)
        }

        var warnings: [String] = []
        manifest.outcome = outcome
        manifest.inputLog = try? FileIdentity(of: directory.inputLog, what: "QEMU's input log")
        let log = plugin.flatMap { _ in
            LogCompletion.complete(files: files, inputLog: directory.inputLog, manifest: manifest, warnings: &warnings)
        }
        if let log { outcome.instructions = log.instructions }
        manifest.outcome = outcome
        manifest.pluginAPI = log?.pluginAPI
        try manifest.write(files.manifest)
        warnings += outcome.messages
        let trouble = outcome.isOrderly ? (plugin == nil ? nil : RunSummary.trouble(log)) : outcome.text
        return RunSummary(
            kind: .recording, verdict: trouble == nil ? .done : .trouble, stateDirectory: path,
            directory: directory.path,
            outcome: outcome, log: log, inputLogBytes: Files.size(directory.inputLog), trouble: trouble,
            differences: [], warnings: warnings, next: "tt-replay \(ShellWord.quoted(path))")
    }
}

extension RunOutcome {
    /// Whether the run came to an end that somebody meant: the guest, or who ran the tool.
    var isOrderly: Bool {
        switch reason {
        case .guestShutdown, .guestReset, .guestPanic, .hostQuit: true
        case .unknown, .hostError, .hung, .killed, .inputExhausted: false
        }
    }
}

enum RecordingID {
    /// 16 random bytes as 32 hexadecimal digits (a version 4 UUID without dashes).
    static func random() -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        var generator = SystemRandomNumberGenerator()
        for index in bytes.indices { bytes[index] = .random(in: .min ... .max, using: &generator) }
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
