// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Replays a recording, as it was or with something changed.
///
///     let summary = try Replay<QEMUEngine>(tool: "my tool 1.0").run(of: "/tmp/run1")
///     if summary.verdict == .different { … }
public struct Replay<ReplayEngine: Engine> {
    /// What the replay changes or logs otherwise.
    public var options: ReplayEngine.ReplayOptions
    /// The replay's name; nil takes the next free number.
    public var name: String?
    /// The tool and its version, for the manifest.
    public var tool: String
    /// Whether the replay is made although something differs from the recording.
    public var force = false
    /// Whether an earlier replay of this name is removed.
    public var overwrite = false
    /// A replay that makes no progress for so many seconds is ended.
    public var hangPatience: Double = 3
    /// End the replay after so many seconds.
    public var timeLimit: Double?

    /// Called while files are digested.
    public var onHashing: (HashingProgress) -> Void = { _ in }
    /// Called a few times a second while the guest runs.
    public var onStatus: (RunStatus) -> Void = { _ in }

    /// A replay with these options.
    public init(options: ReplayEngine.ReplayOptions, tool: String) {
        self.options = options
        self.tool = tool
    }

    /// Runs the replay to its end.
    ///
    /// - Parameter path: the state directory of the recording.
    /// - Throws: ``RunError`` when the replay was not started.
    public func run(of path: String) throws(RunError) -> RunSummary {
        let directory = try StateDirectory.open(path)
        var recording = try directory.recording.readManifest()
        guard recording.kind == .recording else {
            throw .stateDirectory(path: path, problem: "holds a replay, not a recording", remedy: .nameRecording)
        }
        var warnings: [String] = []
        let engine = try ReplayEngine.replaying(recording, options: options, warnings: &warnings)
        let guestFiles = try GuestFile.identify(engine.filesToIdentify, progress: onHashing)
        var differences = try engine.differences(from: recording)
        differences.compare(recording.files, guestFiles)
        if !differences.isEmpty && !force { throw .differs(directory: path, differences: differences) }
        warnings += differences.map { "forced: \($0)" }
        if recording.outcome == nil { try complete(&recording, directory, engine, warnings: &warnings) }

        let (name, files) = try directory.makeReplay(name: name, overwrite: overwrite)
        var plan = RunPlan(
            kind: .replay, uuid: recording.recordingUUID, source: directory.recording, files: files,
            inputLog: directory.inputLog, recording: recording, lock: directory.lock)
        try engine.prepare(&plan, warnings: &warnings)
        var manifest = Manifest(
            kind: .replay, recordingUUID: recording.recordingUUID, name: name, created: Clock.timestamp(), tool: tool,
            engine: engine.record(plan, log: nil), files: guestFiles, forced: differences.isEmpty ? nil : differences)
        try files.write(manifest)

        let signals = SignalWatch()
        defer { signals.drain() }
        var outcome = engine.outcome(of: try watch(engine, plan), plan: plan)
        manifest.outcome = outcome
        let log = LogCompletion(engine: engine, plan: plan, manifest: manifest).complete(warnings: &warnings)
        if let log { outcome.instructions = log.instructions }
        manifest.outcome = outcome
        manifest.engine = engine.record(plan, log: .some(log))
        try files.write(manifest)
        warnings += outcome.messages

        let different = differencesOfRun(outcome, log, recording, directory, engine)
        let trouble = outcome.wasInterrupted ? outcome.text : RunSummary.trouble(log)
        return RunSummary(
            kind: .replay, verdict: trouble != nil ? .trouble : different.isEmpty ? .done : .different,
            stateDirectory: path, directory: files.directory, outcome: outcome, log: log,
            inputLogBytes: Files.size(plan.inputLog), trouble: trouble,
            differences: outcome.wasInterrupted ? [] : different, warnings: warnings,
            next: NextStep(action: .compare, directories: [path, "\(path)/\(RunFiles.replaysName)/\(name)"]))
    }

    private func watch(_ engine: ReplayEngine, _ plan: RunPlan) throws(RunError) -> RunMonitor.Result {
        let guest = try engine.start(plan)
        plan.lock.noteHolder(guest.holder)
        let monitor = RunMonitor(guest)
        monitor.timeLimit = timeLimit
        monitor.hangPatience = hangPatience
        monitor.observe = onStatus
        return monitor.run()
    }

    /// Does for a recording whose tool was killed what that tool does at its end.
    private func complete(
        _ recording: inout Manifest, _ directory: StateDirectory, _ engine: ReplayEngine, warnings: inout [String]
    ) throws(RunError) {
        warnings.append("the recording's tool was killed; its log was completed now")
        recording.outcome = RunOutcome(
            reason: .killed, text: "the recording's tool was killed", process: .signaled(signal: SIGKILL),
            instructions: 0, seconds: 0, messages: [])
        let plan = RunPlan(
            kind: .recording, uuid: recording.recordingUUID, source: directory.recording, files: directory.recording,
            inputLog: directory.inputLog, lock: directory.lock)
        if directory.recording.place.has(RunFiles.logName) {
            try directory.recording.place.requireOwn(RunFiles.logName)
            let completion = LogCompletion(engine: engine, plan: plan, manifest: recording)
            if let log = completion.complete(warnings: &warnings) { recording.outcome?.instructions = log.instructions }
        }
        try directory.recording.write(recording)
    }

    /// What visibly went otherwise than in the recording.
    private func differencesOfRun(
        _ outcome: RunOutcome, _ log: RunLogSummary?, _ recording: Manifest, _ directory: StateDirectory,
        _ engine: ReplayEngine
    ) -> [String] {
        var list: [String] = []
        if let recorded = recording.outcome {
            if recorded.reason == .killed {
                // Its input log has no end that a replay could reach.
                if outcome.reason == .hung || outcome.reason == .hostError { list.append(outcome.text) }
            } else if outcome.reason != recorded.reason {
                list.append("\(outcome.text); the recording: \(recorded.text)")
            } else if outcome.process != recorded.process, log == nil || engine.exitStatusIsReliable {
                list.append(
                    "\(ReplayEngine.displayName) ended with \(outcome.process), in the recording with \(recorded.process)"
                )
            }
        }
        return list + RunLogSummary.differences(of: log, from: directory.recording)
    }
}
