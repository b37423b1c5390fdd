// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory

/// The settings of a ``ReplaySide``, checked once, and its files in a private directory.
struct PreparedSide {
    private(set) var engine: QEMUEngine
    let plan: RunPlan
    let warnings: [String]
    /// The run's.
    let manifest: Manifest
    private let directory: PrivateDirectory
    /// Holds the shared lock of the recording.
    private let recording: StateDirectory
    private let files: [GuestFile]
    private let checker: Replay<QEMUEngine>
    private let capacity: WindowLog.Capacity
    /// The recorder's log, which QEMU writes.
    private let logs: [String]
    /// Checkpoints that outlive the session; nil without.
    let store: CheckpointStore?
    /// Those of them that QEMU uses; nil if another session has them.
    private(set) var part: CheckpointPart?
    /// The engine with the plugin of the recorder that ``ReplaySide/Options/recorder`` asks for.
    let recorder: QEMUEngine?

    private static let directoryName = "tt-zoom"
    private static let memoryName = "memory"
    private static let windowName = "window"
    private static let debuggerName = "debugger"
    private static let wakeName = "wake"

    /// The socket of QEMU's gdbstub.
    var debuggerSocket: String { "\(directory.path)/\(PreparedSide.debuggerName)" }

    init(_ run: RepeatableRun, _ options: ReplaySide.Options) throws(RunError) {
        manifest = run.manifest
        recording = try StateDirectory.open(run.recording, isShared: true)
        let recorded = try recording.recording.readManifest()
        guard RecordingUUID(recorded.recordingUUID) != nil, recorded.recordingUUID == run.manifest.recordingUUID else {
            throw .manifest(path: recording.recording.manifest, problem: "not the recording of \(run.path)")
        }
        try PreparedSide.requireOwnInputLog(run, recorded, recording)
        var warnings: [String] = []
        var settings = QEMUEngine.ReplayOptions()
        settings.program = options.program
        settings.trustsManifest = options.trustsManifest
        if let recorder = options.recorder { settings.logging = recorder.logging }
        checker = Replay<QEMUEngine>(options: settings, tool: "zoom")
        let found = try checker.locate(run.manifest, recording)
        var engine = try QEMUEngine.replaying(
            run.manifest, located: Dictionary(found.map { ($0.key, $0.value.path) }, uniquingKeysWith: { $1 }),
            options: settings, warnings: &warnings)
        files = try checker.identify(try engine.filesToIdentify(), run.manifest, found)
        var differences = try engine.differences(from: run.manifest)
        differences.compare(run.manifest.files, files)
        guard differences.isEmpty else { throw .differs(directory: run.path, differences: differences) }
        try PreparedSide.check(engine.guest)

        capacity = WindowLog.Capacity(instructions: options.windowInstructions)
        let memory = engine.guest.memory.mebibytes << 20
        PrivateDirectory.removeAbandoned(named: PreparedSide.directoryName)
        directory = try PrivateDirectory(
            named: PreparedSide.directoryName, inMemory: memory + UInt64(capacity.bytes) + 1 << 20)
        let (own, lock) = try StateDirectory.createReplay(at: directory.path, overwrite: false)
        store = try PreparedSide.store(options, engine, run, recorded, recording, files)
        part = store?.open(for: options.checkpointUse)
        logs = options.recorder.map { [$0.log, "\($0.log).open"] } ?? []
        recorder = options.recorder == nil ? nil : engine
        let plugin = engine.plugin
        engine.plugin = nil
        engine.watchers = [
            "-object",
            "memory-backend-file,id=ttmemory,size=\(memory),mem-path=\(own.directory)/\(PreparedSide.memoryName),share=on",
            "-machine", "memory-backend=ttmemory",
            "-plugin",
            "\(try PluginConfiguration.findWindow()),window=\(own.directory)/\(PreparedSide.windowName)"
                + ",ram=\(own.directory)/\(PreparedSide.memoryName)",
        ]
        if let recorder = options.recorder, var plugin {
            plugin.options += recorder.options(wake: "\(own.directory)/\(PreparedSide.wakeName)")
            if plugin.ram == true, !engine.program.showsRegisters {
                plugin.options.append("ramfile=\(own.directory)/\(PreparedSide.memoryName)")
            }
            engine.watchers += [
                "-plugin",
                plugin.argument(
                    log: recorder.log, runKind: .replay, uuid: recorded.recordingUUID, qemu: engine.program),
            ]
        }
        if options.hasDebugger {
            engine.watchers += ["-gdb", "unix:\(own.directory)/\(PreparedSide.debuggerName),server=on,wait=off"]
        }
        var plan = RunPlan(
            kind: .replay, uuid: recorded.recordingUUID, source: recording.recording, files: own,
            inputLog: recording.inputLog, recording: run.manifest, lock: lock)
        try engine.prepare(&plan, warnings: &warnings)
        engine.overlays = part?.disks ?? []
        self.engine = engine
        self.plan = plan
        self.warnings = warnings
    }

    /// The recording's own run can be made again only with the input log that it left.
    private static func requireOwnInputLog(
        _ run: RepeatableRun, _ recorded: Manifest, _ recording: StateDirectory
    ) throws(RunError) {
        guard run.manifest.kind == .recording, let written = try QEMUDetails(recorded).inputLog,
            try QEMUInputLog.isClosed(recording.recording.place)
        else { return }
        guard try QEMUInputLog.identity(recording.recording.place, like: written).sha256 == written.sha256 else {
            throw .file(path: recording.inputLog, problem: "has changed since the recording, which cannot be repeated")
        }
    }

    /// The run's checkpoints; nil if none are to outlive the session, or if the run has drives that are not overlaid.
    private static func store(
        _ options: ReplaySide.Options, _ engine: QEMUEngine, _ run: RepeatableRun, _ recorded: Manifest,
        _ recording: StateDirectory, _ files: [GuestFile]
    ) throws(RunError) -> CheckpointStore? {
        let drives = ["-drive", "-blockdev", "-hd", "-cdrom", "-sd", "-mtdblock", "-pflash", "-fd"]
        let others = engine.guest.extraArguments + engine.guest.devices
        guard options.checkpointSpace > 0, !others.contains(where: { drives.contains(where: $0.hasPrefix) }),
            try QEMUInputLog.isClosed(recording.recording.place), let written = try QEMUDetails(recorded).inputLog
        else { return nil }
        let inputLog = try QEMUInputLog.identity(recording.recording.place, like: written)
        guard !inputLog.sha256.isEmpty else { return nil }
        var text = "checkpoints 2\n\(recorded.recordingUUID)\n\(inputLog.sha256)\n\(engine.version)\n\(engine.guest)\n"
        for file in files { text += "\(file.role) \(file.identity.size) \(file.identity.sha256)\n" }
        var digest = FileDigest()
        Array(text.utf8).withUnsafeBytes { digest.update($0) }
        return try CheckpointStore(
            in: options.checkpointDirectory ?? CheckpointStore.base, key: String(digest.finish().prefix(32)),
            limit: options.checkpointSpace, creates: options.checkpointUse != .existing, disks: engine.guest.disks)
    }

    private static func check(_ guest: GuestConfiguration) throws(RunError) {
        guard guest.memory.mebibytes <= GuestMemory.largest else {
            throw .refused(
                what: "a guest with \(guest.memory)",
                why: "its physical addresses are known up to \(GuestMemory.largest) MiB only", remedy: .leaveOut)
        }
        guard !(guest.extraArguments + [guest.machine]).contains(where: { $0.contains("memory-backend") }) else {
            throw .refused(
                what: "a guest with a memory backend of its own", why: "its memory cannot be mapped", remedy: .leaveOut)
        }
    }

    /// New files for the guest's memory, the window and snapshots: each run of QEMU needs its own.
    func makeFiles() throws(RunError) -> (GuestMemory, WindowLog) {
        if let part { try part.prepare() } else { try SnapshotImage.create(in: plan.files.place) }
        let memory = try GuestMemory(
            creating: "\(directory.path)/\(PreparedSide.memoryName)", size: Int(engine.guest.memory.mebibytes << 20))
        return (memory, try WindowLog(creating: "\(directory.path)/\(PreparedSide.windowName)", capacity: capacity))
    }

    /// The file that wakes the recorder; nil without one.
    func makeWakePage() throws(RunError) -> WakePage? {
        recorder == nil ? nil : try WakePage(creating: "\(directory.path)/\(PreparedSide.wakeName)")
    }

    /// Removes the names of the files that QEMU has open: nothing large stays when this process is killed.
    func forgetFiles() {
        for name in [
            PreparedSide.memoryName, PreparedSide.windowName, PreparedSide.wakeName, RunFiles.snapshotImageName,
        ] {
            unlink("\(directory.path)/\(name)")
        }
    }

    /// QEMU uses other checkpoints from its next start on.
    mutating func use(_ part: CheckpointPart) {
        self.part = part
        engine.overlays = part.disks
    }

    /// Starts QEMU, paused.
    func start() throws(RunError) -> (running: (child: ChildProcess, monitor: QMPClient), guest: QEMUGuest) {
        var engine = engine
        let machine = QEMUCommandLine.escaped(part?.machine ?? plan.files.snapshotImage)
        engine.watchers += ["-drive", "file=\(machine),format=qcow2,cache=unsafe,if=none,id=ttsnapshots"]
        let images = part.map { [$0.machine] + $0.disks } ?? []
        let running = try engine.spawn(
            engine.commandLine(plan), plan, temporaryDirectory: directory.path, diesWithTool: true)
        let guest = QEMUGuest(
            child: running.child, monitor: running.monitor, inputLog: plan.inputLog,
            outputs: [PreparedSide.memoryName, PreparedSide.windowName].map { "\(directory.path)/\($0)" }
                + logs + images,
            isResumedByTool: true, dataDirectories: try engine.program.dataDirectories(engine.guest.extraArguments))
        return (running, guest)
    }

    /// Refuses a QEMU that has other firmware or files than the run had.
    func check(_ guest: QEMUGuest) throws(RunError) {
        var warnings: [String] = []
        try checker.checkOpenFiles(guest, plan, files, warnings: &warnings)
    }
}
