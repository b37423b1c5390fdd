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
    /// Arguments of a replay that only watch the guest: a debugger, QEMU's own logs.
    public var watchers: [String] = []

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
    /// What QEMU prints after "version".
    public var version: String { program.version }
    /// Whether the run makes a log.
    public var makesLog: Bool { plugin != nil }
    /// See ``QEMUProgram/exitStatusIsReliable``.
    public var exitStatusIsReliable: Bool { program.exitStatusIsReliable }

    /// The kernel, the RAM disk and the disks.
    public var filesToIdentify: [(role: String, path: String)] {
        var list: [(String, String)] = []
        if let kernel = guest.kernel { list.append((GuestFile.kernelRole, kernel)) }
        if let initrd = guest.initrd { list.append(("initrd", initrd)) }
        for (index, disk) in guest.disks.enumerated() { list.append(("disk \(index)", disk.image)) }
        return list
    }

    /// The plugin and QEMU itself.
    public var otherInputs: [String] { [program.path] + (plugin.map { [$0.file.path] } ?? []) }

    /// Refuses a guest without anything to boot, and what QEMU cannot record.
    public mutating func checkRecording() throws(RunError) {
        try ExtraArguments.check(guest.extraArguments)
        guard guest.kernel != nil || !guest.disks.isEmpty || !guest.extraArguments.isEmpty else {
            throw .missing(what: "guest to record", name: "", remedy: .nameGuest)
        }
        try plugin?.check(against: program)
        try guest.makePathsAbsolute()
    }

    /// Creates the snapshot image of a recording; repairs the input log of a killed one for a replay.
    public func prepare(_ plan: inout RunPlan, warnings: inout [String]) throws(RunError) {
        guard let recording = plan.recording else {
            if plan.keepsSnapshot { try SnapshotImage.create(in: plan.files.place) }
            return
        }
        let place = plan.source.place
        guard try QEMUInputLog.isClosed(place) else {
            try QEMUInputLog.repair(in: place, to: plan.files.place, qemu: program)
            plan.inputLog = plan.files.inputLog
            warnings.append("the recording was killed: its input log is replayed as far as QEMU had written it out")
            return
        }
        // An edited input log is an intended experiment: it is reported, not refused.
        let now = try FileIdentity(of: plan.inputLog, what: "QEMU's input log")
        if let recorded = try QEMUDetails(recording).inputLog, recorded.sha256 != now.sha256 {
            warnings.append("replay.bin is not as the recording left it (sha256 \(now.sha256.prefix(12))…)")
        }
    }

    /// QEMU's command line for a run.
    public func commandLine(_ plan: RunPlan) -> QEMUCommandLine {
        QEMUCommandLine(
            program: program.path, direction: plan.kind == .recording ? .record : .replay, guest: guest,
            inputLog: plan.inputLog, serialLog: plan.files.serialLog,
            plugin: plugin?.argument(log: plan.files.log, runKind: plan.kind, uuid: plan.uuid, qemu: program),
            snapshotImage: plan.keepsSnapshot ? plan.files.snapshotImage : nil, watchers: watchers)
    }

    /// The number at which QEMU inherits the state directory's lock.
    private static let lockDescriptor: Int32 = 4

    /// Starts QEMU, with one end of a socket pair as its monitor.
    public func start(_ plan: RunPlan) throws(RunError) -> any RunningGuest {
        let command = commandLine(plan)
        let (monitor, far) = try QMPClient.pair()
        defer { close(far) }
        let child = try ChildProcess(
            path: command.program, arguments: command.arguments,
            inheriting: [
                (far, QEMUCommandLine.monitorDescriptor), (plan.lock.descriptor, QEMUEngine.lockDescriptor),
            ],
            output: plan.files.engineLog)
        return QEMUGuest(child: child, monitor: monitor, inputLog: plan.inputLog)
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
            if plan.kind == .recording {
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
