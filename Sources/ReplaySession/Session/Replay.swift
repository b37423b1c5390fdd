// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory

/// Replays a recording, unchanged or with changes.
///
///     let summary = try Replay<QEMUEngine>(tool: "my tool 1.0").run(of: "/tmp/run1")
///     if summary.verdict == .different { … }
public struct Replay<ReplayEngine: Engine> {
    /// The changes of the replay and of its log.
    public var options: ReplayEngine.ReplayOptions
    /// The replay's name; nil for the next free number.
    public var name: String?
    /// The replay's directory; nil for one in the recording's directory. If it is set, nothing is written into the
    /// recording's directory.
    public var output: String?
    /// The tool and its version, for the manifest.
    public var tool: String
    /// Whether the replay is made although its settings or files differ from the recording's.
    public var force = false
    /// Whether an earlier replay of this name is removed.
    public var overwrite = false
    /// The time in seconds after which a replay without progress is ended.
    public var hangPatience: Double = 3
    /// The time in seconds after which the replay is ended.
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
    /// - Parameter path: the recording's run directory.
    /// - Throws: ``RunError`` when the replay was not started.
    public func run(of path: String) throws(RunError) -> RunSummary {
        let directory = try StateDirectory.open(path, isShared: output != nil)
        var recording = try directory.recording.readManifest()
        guard recording.kind == .recording else {
            throw .stateDirectory(path: path, problem: "holds a replay, not a recording", remedy: .nameRecording)
        }
        guard recording.engine.name == ReplayEngine.name else {
            throw .manifest(
                path: directory.recording.manifest,
                problem: "a run of \(recording.engine.name), not of \(ReplayEngine.name)")
        }
        guard RecordingUUID(recording.recordingUUID) != nil else {
            throw .manifest(
                path: directory.recording.manifest, problem: "recordingUUID is not 32 hexadecimal digits")
        }
        var warnings: [String] = []
        let found = try locate(recording, directory)
        let located = Dictionary(found.map { ($0.key, $0.value.path) }, uniquingKeysWith: { first, _ in first })
        let engine = try ReplayEngine.replaying(recording, located: located, options: options, warnings: &warnings)
        let guestFiles = try identify(try engine.filesToIdentify(), recording, found)
        var differences = try engine.differences(from: recording)
        differences.compare(recording.files, guestFiles)
        if !differences.isEmpty && !force { throw .differs(directory: path, differences: differences) }
        warnings += differences.map { "forced: \($0)" }
        if recording.outcome == nil, output == nil {
            try complete(&recording, directory, engine, warnings: &warnings)
        }

        let (name, files, lock) = try makeDirectory(directory)
        var plan = RunPlan(
            kind: .replay, uuid: recording.recordingUUID, source: directory.recording, files: files,
            inputLog: directory.inputLog, recording: recording, lock: lock)
        do throws(RunError) {
            try engine.prepare(&plan, warnings: &warnings)
        } catch {
            try discard(files, name, directory)
            throw error
        }
        var manifest = Manifest(
            kind: .replay, recordingUUID: recording.recordingUUID, name: name, created: Clock.timestamp(), tool: tool,
            engine: engine.record(plan, log: nil), files: guestFiles, forced: differences.isEmpty ? nil : differences)
        try files.write(manifest)

        // A signal during the run ends the guest. One that arrives after the run is discarded.
        let signals = SignalWatch()
        defer { signals.drain() }
        let guest = try engine.start(plan)
        lock.noteHolder(guest.holder)
        do throws(RunError) {
            try checkOpenFiles(guest, plan, guestFiles, warnings: &warnings)
        } catch {
            guest.endNow()
            try discard(files, name, directory)
            throw error
        }
        guest.resume()
        var outcome = engine.outcome(of: watch(guest, recording), plan: plan)
        manifest.outcome = outcome
        let log = LogCompletion(engine: engine, plan: plan, manifest: manifest).complete(warnings: &warnings)
        if let log { outcome.instructions = log.instructions }
        manifest.outcome = outcome
        // `.some(nil)`: the run has ended and has no log.
        manifest.engine = engine.record(plan, log: .some(log))
        try files.write(manifest)
        warnings += outcome.messages

        let different = differencesOfRun(outcome, log, recording, directory, engine)
        // Without a log the reason is that of the engine's end, if it has one.
        let isCutShort = outcome.wasInterrupted || (log == nil && !outcome.isOrderly)
        let trouble = isCutShort ? outcome.text : RunSummary.trouble(log)
        return RunSummary(
            kind: .replay, verdict: trouble != nil ? .trouble : different.isEmpty ? .done : .different,
            stateDirectory: path, directory: files.directory, outcome: outcome, log: log,
            inputLogBytes: engine.hasInputLog ? Files.size(plan.inputLog) : 0, trouble: trouble,
            differences: outcome.wasInterrupted ? [] : different, warnings: warnings,
            next: NextStep(
                action: .compare, directories: [path, output ?? "\(path)/\(RunFiles.replaysName)/\(name ?? "")"]))
    }

    /// Finds the recording's files by their contents.
    ///
    /// - Returns: their present identities by their recorded paths, without the files that the replay replaces.
    func locate(
        _ recording: Manifest, _ directory: StateDirectory
    ) throws(RunError) -> [String: FileIdentity] {
        let replaced = ReplayEngine.replacedRoles(options, in: recording)
        let files = recording.files.filter {
            !replaced.contains($0.role) && !$0.role.hasPrefix(GuestFile.firmwareRole)
                && !$0.role.hasPrefix(GuestFile.loggedRole)
        }
        var state = HashingProgress(path: "", done: 0, total: files.reduce(0) { $0 &+ $1.identity.size })
        let finder = FileFinder(directory.recording.place) { count in
            state.done &+= count
            onHashing(state)
        }
        var found: [String: FileIdentity] = [:]
        for file in files where found[file.identity.path] == nil {
            state.path = file.identity.path
            found[file.identity.path] = try finder.find(file)
        }
        return found
    }

    /// The identities of the files of the replay. Those that were located are not read again, and files that the
    /// recording's settings did not show keep their roles.
    func identify(
        _ inputs: [(role: String, path: String)], _ recording: Manifest, _ found: [String: FileIdentity]
    ) throws(RunError) -> [GuestFile] {
        var list: [GuestFile] = []
        for (role, path) in inputs {
            if let identity = found.values.first(where: { $0.path == path }) {
                list.append(GuestFile(role: role, identity: identity))
            } else {
                list += try GuestFile.identify([(role, path)], progress: onHashing)
            }
        }
        for file in recording.files where !list.contains(where: { $0.role == file.role }) {
            if file.role.hasPrefix(GuestFile.firmwareRole) || file.role.hasPrefix(GuestFile.loggedRole) {
                // Compared when the engine has loaded it; or not needed.
                list.append(file)
            } else if file.role.hasPrefix(GuestFile.openFileRole), let identity = found[file.identity.path] {
                list.append(GuestFile(role: file.role, identity: identity))
            }
        }
        return list
    }

    private func makeDirectory(
        _ directory: StateDirectory
    ) throws(RunError) -> (name: String?, files: RunFiles, lock: DirectoryLock) {
        if let output {
            let (files, lock) = try StateDirectory.createReplay(at: output, overwrite: overwrite)
            return (name, files, lock)
        }
        let (name, files) = try directory.makeReplay(name: name, overwrite: overwrite)
        return (name, files, directory.lock)
    }

    /// Removes what a replay that was not started has left.
    private func discard(_ files: RunFiles, _ name: String?, _ directory: StateDirectory) throws(RunError) {
        try files.removeAll()
        if output == nil, let name { try directory.removeEmptyReplay(name) }
    }

    /// Refuses three kinds of replays: the engine has other firmware than in the recording, it has a file open that was
    /// not compared with the recording's, or the guest could write to a file.
    func checkOpenFiles(
        _ guest: any RunningGuest, _ plan: RunPlan, _ files: [GuestFile], warnings: inout [String]
    ) throws(RunError) {
        let open = guest.openFiles()
        let recorded = files.filter { $0.role.hasPrefix(GuestFile.firmwareRole) }
        if !recorded.isEmpty, !open.isEmpty {
            var firmware: [(role: String, path: String)] = []
            for file in open { if let role = file.role { firmware.append((role, file.path)) } }
            var differences: [ManifestDifference] = []
            differences.compare(recorded, try GuestFile.identify(firmware))
            if !differences.isEmpty && !force {
                throw .differs(directory: plan.source.directory, differences: differences)
            }
            warnings += differences.map { "forced: \($0)" }
        }
        for file in open where !plan.isOwn(file.path) && file.role == nil {
            let isKnown = files.contains { $0.identity.path == file.path }
            guard !isKnown || file.isWritable else { continue }
            let why =
                file.isWritable
                ? "the guest could write to the file" : "the engine opens the file, and the recording did not have it"
            guard force else { throw .refused(what: file.path, why: why, remedy: .replayDifferently) }
            warnings.append("forced: \(file.path): \(why)")
        }
    }

    /// Waits until the guest has ended, and ends it at a limit.
    private func watch(_ guest: any RunningGuest, _ recording: Manifest) -> RunMonitor.Result {
        let monitor = RunMonitor(guest)
        monitor.timeLimit = timeLimit
        monitor.hangPatience = hangPatience
        monitor.longestSleep = recording.outcome?.seconds ?? 0
        monitor.recordedEnd = recording.outcome.flatMap { $0.reason == .hostQuit ? $0.instructions : nil }
        monitor.observe = onStatus
        return monitor.run()
    }

    /// Completes a recording whose tool was killed, as that tool does at its end.
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

    /// The visible differences from the recording.
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
