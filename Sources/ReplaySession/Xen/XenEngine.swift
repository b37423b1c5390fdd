// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory

/// The patched Xen with our daemon: the domain is created paused, the daemon attaches to it, and it runs.
///
///     let engine = XenEngine(tools: try .find(), configuration: try .init(path: "guest.cfg"))
///     let summary = try Recording(engine: engine, tool: "my tool 1.0").run(into: "/tmp/run1")
public struct XenEngine: Engine {
    /// The programs of dom0.
    public var tools: XenTools
    /// The guest.
    public var configuration: XenGuestConfiguration
    /// Further options of the daemon.
    public var daemonOptions: [String] = []
    /// For a replay: the clock before which the domain stays paused.
    var until: UInt64?
    /// Settings that replace the configuration's in a replay: the present paths of its files, and no devices.
    var overrides: [String] = []
    /// The disks of a guest that is recorded.
    var disks: [XenDisk] = []

    /// An engine with the settings of one run.
    public init(tools: XenTools, configuration: XenGuestConfiguration) {
        self.tools = tools
        self.configuration = configuration
    }

    /// `xen`.
    public static let name = "xen"
    /// `Xen`.
    public static let displayName = "Xen"
    /// The version of the interface between the daemon and the hypervisor.
    public var version: String { "interface 3" }
    /// The log is what a replay is made from.
    public var makesLog: Bool { true }
    /// The log is the input of a replay.
    public var hasInputLog: Bool { false }
    /// The daemon's exit status follows from the run.
    public var exitStatusIsReliable: Bool { false }

    static let configurationRole = "configuration"
    static let ramdiskRole = "initrd"
    /// The roles of the files that a replay must have as the recording had them.
    private static let determiningRoles: Set<String> = [configurationRole, GuestFile.kernelRole, ramdiskRole]
    /// The messages of `xl` and of the daemon, in the run's directory.
    static let messagesName = RunFiles.xenLogName

    /// The configuration, the kernel and the RAM disk; in a recording, the images of its disks.
    public func filesToIdentify() throws(RunError) -> [(role: String, path: String)] {
        var list = [(role: XenEngine.configurationRole, path: configuration.path)]
        if let kernel = path(of: "kernel") { list.append((GuestFile.kernelRole, kernel)) }
        if let ramdisk = path(of: "ramdisk") { list.append((XenEngine.ramdiskRole, ramdisk)) }
        for disk in disks where Files.isRegular(disk.target) { list.append((disk.role, disk.target)) }
        return list
    }

    /// The path of a file of the guest: an override, or as configured.
    private func path(of key: String) -> String? {
        for text in overrides where text.hasPrefix("\(key)=\"") {
            return String(text.dropFirst(key.count + 2).dropLast())
        }
        return configuration[key]
    }

    /// None: the daemon and `xl` do not determine the run.
    public var otherInputs: [String] { [tools.daemon] }

    /// Refuses a guest that cannot be recorded.
    public mutating func checkRecording() throws(RunError) {
        try configuration.check()
        if configuration.wantsReplay || configuration.wantsRecording == false {
            throw .refused(
                what: configuration.path,
                why: configuration.wantsReplay
                    ? "tt_replay_flag asks for a replay" : "ttd_flag = 0 asks for no recording",
                remedy: .advice("write ttd_flag = 1 in it, and no tt_replay_flag"))
        }
        configuration = try XenGuestConfiguration(path: try Files.absolute(configuration.path, what: "configuration"))
        disks = try configuration.disks()
    }

    /// Xen makes no choices for the guest.
    public var choices: [String] { [] }

    /// Creates the file of messages, so that no link at its name is followed, and the copies of disks.
    public func prepare(_ plan: inout RunPlan, warnings: inout [String]) throws(RunError) {
        plan.inputLog = plan.source.log
        try plan.files.place.createEmpty(XenEngine.messagesName)
        let copies = try XenDiskCopies(disks, place: plan.files.place)
        do throws(RunError) {
            try copies.make(of: disks)
        } catch {
            copies.remove()
            throw error
        }
        warnings += copies.disks.filter { $0.isWritable && disks.contains($0) }.map {
            "disk \($0.device): \($0.target) is no image file; the guest writes to it itself"
        }
    }

    // MARK: Running

    private func messages(_ plan: RunPlan) -> String { "\(plan.files.directory)/\(XenEngine.messagesName)" }

    /// Creates the domain paused and attaches the daemon to it.
    public func start(_ plan: RunPlan) throws(RunError) -> any RunningGuest {
        let output = messages(plan)
        let copies = try XenDiskCopies(disks, place: plan.files.place)
        let settings = overrides + (copies.setting.map { [$0] } ?? [])
        let status = try tools.run(["create", "-p", "-q", configuration.path] + settings, output: output)
        guard status == 0 else {
            copies.remove()
            throw .engine(problem: "xl did not create the domain (exit status \(status))", output: Files.tail(output))
        }
        do throws(RunError) {
            let daemon = try ChildProcess(
                path: tools.daemon, arguments: [tools.daemon] + daemonArguments(plan), inheriting: [], output: output)
            try waitForStart(daemon, output)
            return XenGuest(
                tools: tools, daemon: daemon, domain: configuration.name, log: plan.files.log, messages: output,
                disks: copies)
        } catch {
            _ = try? tools.run(["destroy", configuration.name], output: output)
            copies.remove()
            throw error
        }
    }

    func daemonArguments(_ plan: RunPlan) -> [String] {
        var list = ["-f", plan.files.log, "--console", plan.files.serialLog]
        switch plan.kind {
        case .recording:
            list += ["--record", configuration.name, "--uuid", plan.uuid]
            if configuration.digests > 0 { list += ["--digests", "\(configuration.digests)"] }
        case .replay: list += ["--replay", configuration.name, "--recording", plan.source.log]
        }
        for (key, digest) in digests(plan) { list += ["--attribute", "\(key)=\(digest)"] }
        if let until { list += ["--pause-at", "\(until)"] }
        return list + daemonOptions
    }

    /// The digests of the files that determine the run, by their attributes of the log: the daemon refuses a log in which one
    /// of them differs. None for a replay that is forced.
    private func digests(_ plan: RunPlan) -> [(key: String, digest: String)] {
        guard let manifest = try? plan.files.readManifest(), manifest.forced == nil else { return [] }
        return manifest.files.filter { XenEngine.determiningRoles.contains($0.role) }.map {
            (LogCompletion<XenEngine>.digestKey($0.role), $0.identity.sha256)
        }
    }

    /// Waits for the daemon's line `started`: the hypervisor records or replays from the first instruction on.
    private func waitForStart(_ daemon: ChildProcess, _ output: String) throws(RunError) {
        while true {
            let text = Files.tail(output)
            if text.split(separator: "\n").contains("started") { return }
            if let end = daemon.poll() {
                throw .engine(problem: "\(XenTools.daemonName) did not start (\(end))", output: text)
            }
            usleep(10_000)
        }
    }

    /// The outcome is in the daemon's log; without one, in its last line.
    public func outcome(of result: RunMonitor.Result, plan: RunPlan) -> RunOutcome {
        let lines = Files.tail(messages(plan)).split(separator: "\n").suffix(20).map(String.init)
        let (reason, text) = explain(result, plan, lines.last ?? "")
        var outcome = RunOutcome(
            reason: reason, text: text, process: result.process, instructions: 0, seconds: result.seconds,
            messages: lines.filter { $0.hasPrefix("\(XenTools.daemonName): ") })
        switch result.stop {
        case .signal, .timeLimit: outcome.wasInterrupted = true
        default: break
        }
        return outcome
    }

    private func explain(_ result: RunMonitor.Result, _ plan: RunPlan, _ last: String) -> (RunOutcome.Reason, String) {
        switch result.stop {
        case .signal(let number):
            return (.hostQuit, "ended by signal \(number) (\(ProcessEnd.name(of: number))) to the tool")
        case .timeLimit(let seconds): return (.hostQuit, "ended after the time limit of \(seconds) s")
        case .hung, .silent: return (.hung, "the run made no progress and was ended")
        default: break
        }
        if case .signaled(let signal) = result.process {
            return (.killed, "\(XenTools.daemonName) was ended by signal \(signal) (\(ProcessEnd.name(of: signal)))")
        }
        if let log = try? LogFile(path: plan.files.log), let end = log.runEnd,
            let reason = RunOutcome.Reason(rawValue: end.reason.name)
        {
            return (reason, end.text)
        }
        return (.hostError, last)
    }

    /// The log is complete by itself.
    public func join(
        _ log: LogFile, plan: RunPlan, warnings: inout [String]
    ) -> (join: RunLogSummary.Join, end: RunLogSummary.End?)? { nil }

    // MARK: Manifest

    /// Xen's part of a manifest.
    struct Details: Codable {
        /// The name of the domain.
        var domain: String
        /// The configuration's path at the recording.
        var configuration: String
        /// Further options of the daemon.
        var daemonOptions: [String]
    }

    /// The domain and the daemon's options.
    public func record(_ plan: RunPlan, log: RunLogSummary??) -> EngineRecord {
        let details = Details(
            domain: configuration.name, configuration: configuration.path, daemonOptions: daemonOptions)
        return EngineRecord(
            name: XenEngine.name, version: version, details: (try? JSONValue(encoding: details)) ?? .null)
    }

    /// The settings of the guest.
    public var attributes: [(key: String, value: String)] {
        configuration.settings.filter { !["kernel", "ramdisk"].contains($0.key) }.map { ("guest.\($0.key)", $0.value) }
    }
}
