// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
@preconcurrency import Glibc

/// Replays a recording, as it was or with something changed.
///
///     let replay = Replay(tool: "tt-replay")
///     let summary = try replay.run(of: "/tmp/run1")
///     if summary.verdict == .different { … }
public struct Replay: Sendable {
    /// What is asked to be other than in the recording; nil leaves it as recorded.
    public struct Changes: Sendable {
        public var kernel: String?
        public var initrd: String?
        public var commandLine: String?
        public var memory: MemorySize?
        public var cpu: String?
        public var machine: String?
        /// In place of the recording's disks, in their order.
        public var disks: [String] = []
        /// Beside the recording's. Those that only watch (`-S -gdb tcp::1234`, `-d int`) are no change.
        public var extraArguments: [String] = []

        public init() {}
    }

    /// What the plugin shall do otherwise than in the recording; nil leaves it as recorded. None of it changes what
    /// the guest does.
    public struct Watching: Sendable {
        public var plugin: String?
        public var mode: PluginConfiguration.Mode?
        public var codec: PluginConfiguration.Codec?
        public var accesses: Bool?
        public var mmio: Bool?
        public var values: Bool?
        public var context: Bool?
        public var causes: Bool?
        public var registers: Bool?
        public var check: Bool?
        /// In place of the recording's.
        public var options: [String]?

        public init() {}
    }

    public var changes = Changes()
    public var watching = Watching()
    /// nil takes the next free number.
    public var name: String?
    /// QEMU's path or name; nil takes the recording's.
    public var qemu: String?
    public var tool: String
    /// Replay although something differs from the recording.
    public var force = false
    /// Whether an earlier replay of this name is removed.
    public var overwrite = false
    /// A replay that stands still for so many seconds is ended.
    public var hangPatience: Double = 3
    /// End the replay after so many seconds.
    public var timeLimit: Double?

    public init(tool: String) { self.tool = tool }

    /// Runs the replay to its end.
    ///
    /// - Parameters:
    ///   - path: the state directory of the recording.
    ///   - observe: called a few times a second.
    public func run(
        of path: String, observe: @escaping (RunStatus) -> Void = { _ in }
    ) throws(SessionError) -> RunSummary {
        try ExtraArguments.check(changes.extraArguments, isReplay: true)
        let directory = try StateDirectory.open(path)
        var recording = try Manifest.read(directory.recording.manifest)
        guard recording.kind == .recording else {
            throw .stateDirectory(
                path: path, problem: "holds a replay, not a recording", remedy: "name the recording's directory")
        }
        let recordedQEMU = Files.isExecutable(recording.qemu.path) ? recording.qemu.path : nil
        let identity = try QEMUIdentity.find(qemu ?? recordedQEMU)
        let guest = try changes.applied(to: recording.guest)
        let differences = recording.differences(qemu: identity, guest: guest)
        if !differences.isEmpty && !force { throw .differs(directory: path, differences: differences) }
        var warnings = differences.map { "forced: \($0)" }
        if recording.outcome == nil {
            try Replay.complete(&recording, directory, warnings: &warnings)
        }
        let plugin = try watching.configuration(recording.plugin, warnings: &warnings)
        try plugin.check(against: identity)

        let (name, files) = try directory.makeReplay(name: name, overwrite: overwrite)
        let inputLog = try inputLog(of: recording, directory, files, qemu: identity, warnings: &warnings)
        let command = QEMUCommandLine(
            program: identity.path, direction: .replay, guest: guest, inputLog: inputLog, serialLog: files.serialLog,
            plugin: plugin.argument(
                log: files.log, runKind: .replay, uuid: recording.recordingUUID, qemu: identity),
            watchers: ExtraArguments.onlyWatch(changes.extraArguments) ? changes.extraArguments : [])
        var manifest = Manifest(
            kind: .replay, recordingUUID: recording.recordingUUID, name: name, created: Clock.timestamp(), tool: tool,
            qemu: identity, plugin: plugin, guest: guest, arguments: command.arguments,
            forced: differences.isEmpty ? nil : differences)
        try manifest.write(files.manifest)

        let signals = SignalWatch()
        defer { signals.drain() }
        let run = QEMURun(
            directory: directory, files: files, command: command, timeLimit: timeLimit, hangPatience: hangPatience,
            observe: observe)
        var outcome = try run.run()
        manifest.outcome = outcome
        let log = LogCompletion.complete(
            files: files, inputLog: inputLog, manifest: manifest, warnings: &warnings)
        if let log { outcome.instructions = log.instructions }
        manifest.outcome = outcome
        manifest.pluginAPI = log?.pluginAPI
        try manifest.write(files.manifest)
        warnings += outcome.messages

        let parted = Replay.differences(of: outcome, log, from: recording, directory, qemu: identity)
        let trouble = outcome.wasInterrupted ? outcome.text : RunSummary.trouble(log)
        let verdict: RunSummary.Verdict = trouble != nil ? .trouble : parted.isEmpty ? .done : .different
        let place = ShellWord.quoted(path)
        return RunSummary(
            kind: .replay, verdict: verdict, stateDirectory: path, directory: files.directory, outcome: outcome,
            log: log, inputLogBytes: Files.size(inputLog), trouble: trouble,
            differences: outcome.wasInterrupted ? [] : parted,
            warnings: warnings,
            next: "tt-analyze diverge \(place) \(ShellWord.quoted("\(path)/replays/\(name)"))")
    }

    /// The input log that QEMU shall read, after a look at whether it is the one that the recording left.
    private func inputLog(
        of recording: Manifest, _ directory: StateDirectory, _ files: RunFiles, qemu: QEMUIdentity,
        warnings: inout [String]
    ) throws(SessionError) -> String {
        let path = directory.inputLog
        guard try QEMUInputLog.isClosed(path) else {
            let copy = files.inputLog
            try QEMUInputLog.repair(path, to: copy, qemu: qemu)
            warnings.append("the recording was killed: its input log is replayed as far as QEMU had written it out")
            return copy
        }
        // An edited input log is an experiment that somebody means; it is said, not refused.
        let now = try FileIdentity(of: path, what: "QEMU's input log")
        if let recorded = recording.inputLog, recorded.sha256 != now.sha256 {
            warnings.append("replay.bin is not as the recording left it (sha256 \(now.sha256.prefix(12))…)")
        }
        return path
    }

    /// Does for a recording whose tool was killed what that tool would have done at its end.
    private static func complete(
        _ recording: inout Manifest, _ directory: StateDirectory, warnings: inout [String]
    ) throws(SessionError) {
        warnings.append("tt-record was killed during the recording; its log was completed now")
        var outcome = RunOutcome(
            reason: .killed, text: "tt-record was killed", process: .signaled(signal: SIGKILL), instructions: 0,
            seconds: 0, messages: [])
        recording.outcome = outcome
        recording.inputLog = try FileIdentity(of: directory.inputLog, what: "QEMU's input log")
        if recording.plugin != nil,
            let log = LogCompletion.complete(
                files: directory.recording, inputLog: directory.inputLog, manifest: recording, warnings: &warnings)
        {
            outcome.instructions = log.instructions
            recording.outcome = outcome
        }
        try recording.write(directory.recording.manifest)
    }

    /// What visibly went differently.
    private static func differences(
        of outcome: RunOutcome, _ log: RunLogSummary?, from recording: Manifest, _ directory: StateDirectory,
        qemu: QEMUIdentity
    ) -> [String] {
        var list: [String] = []
        if let recorded = recording.outcome {
            if recorded.reason == .killed {
                // Its input log has no end to come to.
                if outcome.reason == .hung || outcome.reason == .hostError { list.append(outcome.text) }
            } else if outcome.reason != recorded.reason {
                list.append("\(outcome.text); the recording: \(recorded.text)")
            } else if outcome.process != recorded.process, log == nil || qemu.exitStatusIsReliable {
                list.append("QEMU ended with \(outcome.process), in the recording with \(recorded.process)")
            }
        }
        list += LogCompletion.differences(of: log, recording: directory.recording)
        return list
    }
}

extension Replay.Changes {
    /// The recording's guest with the changes, every file looked at anew.
    func applied(to recorded: GuestConfiguration) throws(SessionError) -> GuestConfiguration {
        var guest = recorded
        if let memory { guest.memory = memory }
        if let cpu { guest.cpu = cpu }
        if let machine { guest.machine = machine }
        if let commandLine { guest.commandLine = commandLine }
        if let path = kernel ?? recorded.kernel?.path { guest.kernel = try FileIdentity(of: path, what: "kernel") }
        if let path = initrd ?? recorded.initrd?.path { guest.initrd = try FileIdentity(of: path, what: "initrd") }
        if disks.isEmpty {
            for index in guest.disks.indices {
                guest.disks[index].image = try FileIdentity(of: guest.disks[index].image.path, what: "disk image")
            }
        } else {
            let device = recorded.disks.first?.device ?? GuestConfiguration.Disk.defaultDevice
            guest.disks = []
            for path in disks { guest.disks.append(try GuestConfiguration.Disk(path: path, device: device)) }
        }
        if !ExtraArguments.onlyWatch(extraArguments) { guest.extraArguments += extraArguments }
        return guest
    }
}

extension Replay.Watching {
    /// What the plugin shall do in this replay.
    func configuration(
        _ recorded: PluginConfiguration?, warnings: inout [String]
    ) throws(SessionError) -> PluginConfiguration {
        let path: String
        if let plugin {
            path = plugin
        } else if let recorded, Files.exists(recorded.file.path) {
            path = recorded.file.path
        } else {
            path = try PluginConfiguration.find()
        }
        let file = try FileIdentity(of: path, what: "plugin")
        var result = recorded ?? PluginConfiguration(file: file)
        if result.file.sha256 != file.sha256 {
            warnings.append("the plugin is another build than the recording's: labels may differ for that reason")
        }
        result.file = file
        if let mode { result.mode = mode }
        if let codec { result.codec = codec }
        if let accesses { result.accesses = accesses }
        if let mmio { result.mmio = mmio }
        if let values { result.values = values }
        if let context { result.context = context }
        if let causes { result.causes = causes }
        if let registers { result.registers = registers }
        if let check { result.check = check }
        if let options { result.options = options }
        return result
    }
}

extension GuestConfiguration.Disk {
    public static let defaultDevice = "virtio-blk-pci"

    /// A disk from an image; qcow2 is recognised by its magic, anything else is raw.
    public init(path: String, device: String = defaultDevice) throws(SessionError) {
        let image = try FileIdentity(of: path, what: "disk image")
        var magic: [UInt8] = [0, 0, 0, 0]
        let descriptor = open(image.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(doing: "open disk image", path: image.path, code: errno) }
        defer { close(descriptor) }
        let count = magic.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        let isQcow2 = count == 4 && magic == [0x51, 0x46, 0x49, 0xfb]
        self.init(image: image, format: isQcow2 ? "qcow2" : "raw", device: device)
    }
}
