// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// Records a guest into a run directory.
///
///     let engine = QEMUEngine(program: try .find(nil), guest: guest, plugin: plugin)
///     let summary = try Recording(engine: engine, tool: "my tool 1.0").run(into: "/tmp/run1")
public struct Recording<RecordingEngine: Engine> {
    /// The engine, with the settings of the run.
    public var engine: RecordingEngine
    /// The tool and its version, for the manifest.
    public var tool: String
    /// Whether an earlier recording in the directory is removed.
    public var overwrite = false
    /// Whether a snapshot of the beginning is kept, for debuggers that go backwards in a replay.
    public var keepsSnapshot = false
    /// The time in seconds after which the run is ended.
    public var timeLimit: Double?
    /// Seconds without an instruction until a standstill is reported.
    public var standstillPatience: Double = 10

    /// Seconds after which a guest that has halted with interrupts off is ended; nil lets it halt for ever.
    public var haltPatience: Double? = 10

    /// Called once with the choices that the run made for the guest, one sentence each.
    public var onChoices: ([String]) -> Void = { _ in }
    /// Called once for each standstill of the guest.
    public var onStandstill: (Standstill) -> Void = { _ in }
    /// Called while files are digested.
    public var onHashing: (HashingProgress) -> Void = { _ in }
    /// Called a few times a second while the guest runs.
    public var onStatus: (RunStatus) -> Void = { _ in }

    /// A recording with default settings.
    public init(engine: RecordingEngine, tool: String) {
        self.engine = engine
        self.tool = tool
    }

    /// Runs the guest until it ends, until the tool is interrupted (SIGINT, SIGTERM, SIGHUP), or until the time is up.
    ///
    /// - Throws: ``RunError`` when nothing was recorded.
    public func run(into path: String) throws(RunError) -> RunSummary {
        var engine = engine
        try engine.checkRecording()
        onChoices(engine.choices)
        let inputs = try engine.filesToIdentify()
        let files = try GuestFile.identify(inputs, progress: onHashing)
        let directory = try StateDirectory.create(
            path, overwrite: overwrite, inputs: inputs.map(\.path) + engine.otherInputs)
        var warnings: [String] = []
        var plan = RunPlan(
            kind: .recording, uuid: RecordingID.random(), source: directory.recording, files: directory.recording,
            inputLog: directory.inputLog, keepsSnapshot: keepsSnapshot, lock: directory.lock)
        do throws(RunError) {
            try engine.prepare(&plan, warnings: &warnings)
        } catch {
            try directory.removeRecording()
            throw error
        }
        var manifest = Manifest(
            kind: .recording, recordingUUID: plan.uuid, created: Clock.timestamp(), tool: tool,
            engine: engine.record(plan, log: nil), files: files)
        try plan.files.write(manifest)

        let signals = SignalWatch()
        defer { signals.drain() }
        let guest = try engine.start(plan)
        plan.lock.noteHolder(guest.holder)
        do throws(RunError) {
            manifest.files += try Recording.furtherFiles(guest, plan, known: files, progress: onHashing)
        } catch {
            guest.endNow()
            try directory.removeRecording()
            throw error
        }
        try plan.files.write(manifest)
        guest.resume()
        let result = watch(guest)
        var outcome = engine.outcome(of: result, plan: plan)
        if outcome.reason == .hostError, outcome.instructions == 0, RunLogSummary.isEmpty(plan.files) {
            // The engine refused its settings: there is no recording.
            let output = Files.tail(plan.files.engineLog)
            try directory.removeRecording()
            throw .engine(
                problem: "\(RecordingEngine.displayName) did not start the guest (\(outcome.process))", output: output)
        }

        manifest.outcome = outcome
        manifest.engine = engine.record(plan, log: .some(nil))
        let log =
            engine.makesLog
            ? LogCompletion(engine: engine, plan: plan, manifest: manifest).complete(warnings: &warnings) : nil
        if let log { outcome.instructions = log.instructions }
        manifest.outcome = outcome
        manifest.engine = engine.record(plan, log: .some(log))
        try plan.files.write(manifest)
        warnings += outcome.messages
        var trouble = outcome.isOrderly ? (engine.makesLog ? RunSummary.trouble(log) : nil) : outcome.text
        if trouble == nil, engine.hasInputLog, Files.size(plan.inputLog) == 0 {
            trouble = "the engine's input log is empty"
        }
        return RunSummary(
            kind: .recording, verdict: trouble == nil ? .done : .trouble, stateDirectory: path,
            directory: directory.path, outcome: outcome, log: log,
            inputLogBytes: engine.hasInputLog ? Files.size(plan.inputLog) : 0,
            trouble: trouble, differences: [], warnings: warnings,
            next: NextStep(action: .replay, directories: [path]))
    }

    /// The files that the engine has open and its settings did not show.
    ///
    /// - Throws: when the guest can write to one of them.
    private static func furtherFiles(
        _ guest: any RunningGuest, _ plan: RunPlan, known: [GuestFile], progress: (HashingProgress) -> Void
    ) throws(RunError) -> [GuestFile] {
        var further: [(role: String, path: String)] = []
        for file in guest.openFiles() where !plan.isOwn(file.path) {
            guard !file.isWritable else {
                throw .refused(
                    what: file.path, why: "the guest could write to the file, and the replay would find other contents",
                    remedy: .protectFile)
            }
            if let role = file.role {
                further.append((role: role, path: file.path))
            } else if !known.contains(where: { $0.identity.path == file.path }) {
                further.append((role: "\(GuestFile.openFileRole) \(further.count + 1)", path: file.path))
            }
        }
        return try GuestFile.identify(further, progress: progress)
    }

    private func watch(_ guest: any RunningGuest) -> RunMonitor.Result {
        let monitor = RunMonitor(guest)
        monitor.timeLimit = timeLimit
        monitor.haltPatience = haltPatience
        monitor.standstill = StandstillWatch(patience: standstillPatience, report: onStandstill)
        monitor.observe = onStatus
        return monitor.run()
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
