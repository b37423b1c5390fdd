// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory

/// Stock QEMU (`-icount …,rr=record|replay`) with the plugin of this project.
///
///     var guest = GuestConfiguration()
///     guest.kernel = "tiny.elf"
///     let engine = QEMUEngine(program: try .find(nil), guest: guest, plugin: plugin)
public struct QEMUEngine: Engine {
    /// QEMU's program.
    public var program: QEMUProgram
    /// The machine and what it boots.
    public var guest: GuestConfiguration
    /// nil makes no log: a replay of the recording can make it.
    public var plugin: PluginConfiguration?
    /// Arguments that only watch the guest: a debugger, QEMU's own logs. A replay does not repeat them.
    public var watchers: [String] = []
    /// For a replay: images over the guest's disks (``QEMUCommandLine/overlays``).
    var overlays: [String] = []
    /// The input of a recording's guest on its first serial port.
    public var serialInput: SerialInput?
    /// Receives the guest's output if it has serial input.
    public var onSerialOutput: @Sendable ([UInt8]) -> Void = { _ in }
    /// For a replay: the present paths of the recording's files, by their recorded paths.
    var located: [String: String] = [:]

    /// An engine with the settings of one run.
    public init(program: QEMUProgram, guest: GuestConfiguration, plugin: PluginConfiguration?) {
        self.program = program
        self.guest = guest
        self.plugin = plugin
    }

    /// `qemu`.
    public static let name = "qemu"
    /// `QEMU`.
    public static let displayName = "QEMU"
    /// The version text that QEMU prints after "version".
    public var version: String { program.version }
    /// Whether the run makes a log.
    public var makesLog: Bool { plugin != nil }
    /// See ``QEMUProgram/exitStatusIsReliable``.
    public var exitStatusIsReliable: Bool { program.exitStatusIsReliable }

    /// The kernel, the RAM disk, the disks with their backing files, and the files that arguments name.
    public func filesToIdentify() throws(RunError) -> [(role: String, path: String)] {
        var list: [(role: String, path: String)] = []
        if let kernel = guest.kernel { list.append((GuestFile.kernelRole, kernel)) }
        if let initrd = guest.initrd { list.append(("initrd", initrd)) }
        for (index, disk) in guest.disks.enumerated() {
            list += try DiskImage.chain(disk.image, role: "disk \(index)")
        }
        var arguments = 0
        for path in ArgumentFiles.paths(in: guest.devices + guest.extraArguments)
        where !OutputArguments.contain(path, outputs) {
            for file in try DiskImage.chain(path, role: "file \(arguments + 1) of the arguments")
            where !list.contains(where: { $0.path == file.path }) {
                list.append(file)
            }
            arguments += 1
        }
        return list
    }

    /// The files that QEMU only writes.
    private var outputs: [String] { OutputArguments.paths(in: guest.extraArguments + watchers) }

    /// The plugin and QEMU itself.
    public var otherInputs: [String] { [program.path] + (plugin.map { [$0.file.path] } ?? []) }

    /// Refuses a guest without anything to boot, and settings that QEMU cannot record.
    public mutating func checkRecording() throws(RunError) {
        try ExtraArguments.check(guest.extraArguments, devices: guest.devices)
        (watchers, guest.extraArguments) = ExtraArguments.separate(guest.extraArguments)
        guard guest.kernel != nil || !guest.disks.isEmpty || !guest.extraArguments.isEmpty else {
            throw .missing(what: "guest to record", name: "", remedy: .nameGuest)
        }
        try plugin?.check(against: program)
        try guest.makePathsAbsolute()
        guest.hasSerialInput = serialInput != nil
        // The manifest holds the clock, not the rule that chose it.
        let clock = guest.resolvedClock
        let isChosen = guest.instructionClock == .init(shift: clock.shift, sleep: clock.sleep)
        clockReason = isChosen ? nil : guest.needOfRealTime ?? ""
        guest.instructionClock = .init(shift: clock.shift, sleep: clock.sleep)
        if program.losesHPET { guest.leaveOutHPET() }
    }

    /// Why the clock was chosen: empty for a guest without any need of real time, nil where the user named it.
    private var clockReason: String?

    /// The clock, where the user did not name it.
    public var choices: [String] {
        guard let clockReason else {
            // QEMU delivers input when it looks how long the guest has idled, which this clock does not need.
            return guest.hasSerialInput && !guest.resolvedClock.sleep
                ? ["the clock runs ahead while the guest idles (\(guest.clockText)): serial input may never arrive"]
                : []
        }
        let clock =
            guest.instructionClock == .real
            ? "waits in real time while the guest idles" : "runs ahead while the guest idles"
        let because =
            clockReason.isEmpty ? "nothing in the guest waits for the outside" : "the guest has \(clockReason)"
        return ["the clock \(clock) (\(guest.clockText)): \(because)"]
    }

    /// Creates the snapshot image of a recording; repairs the input log of a killed one for a replay.
    public func prepare(_ plan: inout RunPlan, warnings: inout [String]) throws(RunError) {
        try OutputArguments.check(
            outputs, inputs: try filesToIdentify().map(\.path) + otherInputs, runs: [plan.files, plan.source])
        guard let recording = plan.recording else {
            if plan.keepsSnapshot { try SnapshotImage.create(in: plan.files.place) }
            return
        }
        let place = plan.source.place
        guard try QEMUInputLog.isClosed(place) else {
            try QEMUInputLog.repair(in: place, to: plan.files.place, qemu: program)
            plan.inputLog = plan.files.inputLog
            warnings.append("the recording was killed: its input log is replayed up to its last written entry")
            return
        }
        // An edited input log is an intended experiment: it is reported, not refused.
        guard let recorded = try QEMUDetails(recording).inputLog else { return }
        let now = try QEMUInputLog.identity(place, like: recorded)
        if recorded.sha256 != now.sha256 {
            let digest = now.sha256.isEmpty ? "\(now.size) bytes" : "sha256 \(now.sha256.prefix(12))…"
            warnings.append("replay.bin is not as the recording left it (\(digest))")
        }
    }

    /// QEMU's command line for a run.
    public func commandLine(_ plan: RunPlan) -> QEMUCommandLine {
        var command = QEMUCommandLine(
            program: program.path, direction: plan.kind == .recording ? .record : .replay, guest: guest,
            inputLog: plan.inputLog, serialLog: plan.files.serialLog,
            plugin: plugin?.argument(log: plan.files.log, runKind: plan.kind, uuid: plan.uuid, qemu: program),
            snapshotImage: plan.keepsSnapshot ? plan.files.snapshotImage : nil, watchers: watchers)
        command.overlays = overlays
        command.readsSerialInput = plan.kind == .recording && guest.hasSerialInput
        command.startsPaused = !(watchers + guest.extraArguments).contains("-S")
        return command
    }

    /// The descriptor at which QEMU inherits the run directory's lock.
    private static let lockDescriptor: Int32 = 4

    /// Starts QEMU paused, with one end of a socket pair as its monitor.
    public func start(_ plan: RunPlan) throws(RunError) -> any RunningGuest {
        let command = commandLine(plan)
        var closing: [Int32] = []
        defer { for descriptor in closing { close(descriptor) } }
        var inheriting: [(descriptor: Int32, number: Int32)] = []
        var feeder: SerialFeeder?
        if command.readsSerialInput, let serialInput {
            let made = try SerialFeeder(serialInput, output: plan.files.serialLog, onOutput: onSerialOutput)
            let output = open(plan.files.serialLog, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
            closing.append(output)
            guard output >= 0 else { throw .system(doing: "open", path: plan.files.serialLog, code: errno) }
            inheriting += [(made.far, STDIN_FILENO), (output, STDOUT_FILENO)]
            feeder = made
        }
        // A recording outlives its tool; a replay is of no use to anyone without it.
        let (child, monitor) = try spawn(command, plan, inheriting: inheriting, diesWithTool: plan.kind == .replay)
        return QEMUGuest(
            child: child, monitor: monitor, inputLog: plan.inputLog, log: plugin == nil ? nil : plan.files.log,
            outputs: outputs, feeder: feeder, isResumedByTool: command.startsPaused,
            dataDirectories: try program.dataDirectories(guest.extraArguments),
            expectedResets: plan.recording?.outcome?.resets ?? [])
    }

    /// Starts QEMU's process with its monitor and the lock of the run's directory.
    ///
    /// - Parameters:
    ///   - temporaryDirectory: the directory for what the guest writes to its disks; nil for QEMU's choice.
    ///   - diesWithTool: whether QEMU is killed when this process dies.
    func spawn(
        _ command: QEMUCommandLine, _ plan: RunPlan, inheriting: [(descriptor: Int32, number: Int32)] = [],
        temporaryDirectory: String? = nil, diesWithTool: Bool = false
    ) throws(RunError) -> (child: ChildProcess, monitor: QMPClient) {
        let (monitor, far) = try QMPClient.pair()
        defer { close(far) }
        let own = [(far, QEMUCommandLine.monitorDescriptor), (plan.lock.descriptor, QEMUEngine.lockDescriptor)]
        let child = try ChildProcess(
            path: command.program, arguments: command.arguments, inheriting: own + inheriting,
            output: plan.files.engineLog, temporaryDirectory: temporaryDirectory, diesWithTool: diesWithTool)
        return (child, monitor)
    }

    /// Joins a log with `replay.bin`.
    public func join(
        _ log: LogFile, plan: RunPlan, warnings: inout [String]
    ) -> (join: RunLogSummary.Join, end: RunLogSummary.End?)? {
        do throws(LogError) {
            let input = try QEMUReplayLog(path: plan.inputLog)
            if let damage = input.damage { warnings.append("\(damage)") }
            let join = try ReplayJoin.join(log, with: input)
            let end = join.comparableEnd.map {
                RunLogSummary.End(clock: $0.clock, instructions: $0.icount, reason: $0.reason)
            }
            return (RunLogSummary.Join(join), end)
        } catch {
            warnings.append("\(error)")
            return nil
        }
    }

    /// QEMU's part of the manifest.
    public func record(_ plan: RunPlan, log: RunLogSummary??) -> EngineRecord {
        var details = QEMUDetails(
            program: program.path, plugin: plugin, guest: guest, arguments: commandLine(plan).arguments)
        if let log {
            details.pluginAPI = log?.pluginAPI
            // The repaired copy of a killed recording's input log is no change of it.
            if plan.kind == .recording || plan.inputLog != plan.files.inputLog {
                details.inputLog = try? FileIdentity(of: plan.inputLog, what: "QEMU's input log")
                details.inputLog?.path = RunFiles.inputLogName
            }
        }
        let value = (try? JSONValue(encoding: details)) ?? .null
        return EngineRecord(name: QEMUEngine.name, version: version, details: value)
    }

    /// QEMU's version, the machine, and the plugin.
    public var attributes: [(key: String, value: String)] {
        var list = [
            ("qemu.version", version), ("guest.machine", guest.machine), ("guest.cpu", guest.cpu),
            ("guest.memory", guest.memory.description), ("guest.icount", guest.clockText),
        ]
        if let commandLine = guest.commandLine { list.append(("guest.command-line", commandLine)) }
        if !guest.devices.isEmpty { list.append(("guest.devices", guest.devices.joined(separator: " "))) }
        if !guest.extraArguments.isEmpty {
            list.append(("guest.extra-arguments", guest.extraArguments.joined(separator: " ")))
        }
        if let plugin {
            list.append(("plugin.path", plugin.file.path))
            list.append(("plugin.sha256", plugin.file.sha256))
        }
        return list
    }
}
