// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import ReplaySession
import RunDirectory
import ToolSupport

extension MemorySize: ExpressibleByArgument {
    /// Reads `64`, `512M`, `2G`.
    public init?(argument: String) { self.init(argument) }
}
extension PluginConfiguration.Mode: ExpressibleByArgument {}
extension PluginConfiguration.Codec: ExpressibleByArgument {}

@main
struct TTReplay: ParsableCommand {
    static func main() { ToolMain.run(TTReplay.self) }

    static let configuration = CommandConfiguration(
        commandName: "tt-replay",
        abstract: "Replay a recording, with a log of its own to compare.",
        discussion: """
            The replay goes to RUN/replays/NAME. It repeats the recording's command line with the recording's \
            files. If one of them, QEMU's version or an option given here differs from the recording, tt-replay \
            refuses; --force replays nevertheless, to show where the runs part. A replay without progress is ended. A \
            recording of Xen is replayed by Xen: in dom0, as root, in a fresh domain.

            EXAMPLES
              tt-replay /tmp/run1
              tt-replay /tmp/run1 --name more-memory --memory 96M --force
              tt-replay /tmp/run1 --name patched --kernel patched.elf --force
              tt-replay /tmp/run1 -- -S -gdb tcp::1234
              tt-replay /tmp/run1 --until do_page_fault:3 --symbols vmlinux
              tt-replay /tmp/run1 --trace do_page_fault:3 end-1000 -o window.log --symbols vmlinux
              tt-replay /tmp/run1 --at console:12 --symbols vmlinux --print jiffies_64 --core guest.core
              tt-analyze diverge /tmp/run1 /tmp/run1/replays/patched --symbols patched.elf

            EXIT STATUS
              0 the replay ended as the recording did (tt-analyze diverge reports whether all of it was the same)
              1 it visibly went another way: it made no progress, ended early, or QEMU gave up
              2 trouble: refused, interrupted, or without a complete log
            """,
        version: ToolVersion.current)

    @Argument(help: ArgumentHelp("A run directory that tt-record made.", valueName: "run"))
    var directory: String

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp(
            "After --: passed to QEMU after the recording's. All but debuggers and QEMU's own logs need --force.",
            valueName: "qemu-args"))
    var extraArguments: [String] = []

    @OptionGroup(title: "Stop at a place") var stop: StopOptions
    @OptionGroup(title: "Changes (need --force)") var changes: ChangeOptions
    @OptionGroup(title: "Log") var logging: LogOptions
    @OptionGroup(title: "Xen") var xen: XenOptions
    @OptionGroup(title: "Run") var session: SessionOptions

    func run() throws {
        let manifest = try? Manifest.read("\(directory)/\(Manifest.fileName)")
        if let manifest, manifest.engine.name == XenEngine.name { return try replayXen(manifest) }
        try checkStop()
        if !stop.trace.isEmpty { return try stop.runTrace(directory, session, logging.logging) }
        if stop.ahead { return try stop.runAhead(directory, session) }
        if let seconds = stop.checkpoints { return try stop.runCheckpoints(directory, session, every: seconds) }
        guard stop.place != nil else {
            return try replay(
                Replay<QEMUEngine>(options: qemuOptions, tool: tool), total: manifest?.outcome?.instructions ?? 0)
        }
        try stop.run(directory, session)
    }

    func validate() throws {
        if logging.ram == .on, stop.trace.isEmpty { throw ValidationError("--ram is valid with --trace only.") }
    }

    /// Refuses the options of a whole replay where the run is gone through instead.
    private func checkStop() throws {
        guard let option = stop.option else { return }
        let writesReplay = session.writesReplay(asideFromOutput: !stop.trace.isEmpty)
        if writesReplay || session.timeout != nil || changes.isGiven || !extraArguments.isEmpty {
            throw ValidationError("\(option) writes no replay: leave out its options.")
        }
        if stop.trace.isEmpty, logging.isGiven {
            throw ValidationError("\(option) writes no log: leave out its options.")
        }
    }

    /// Replays a recording of Xen. The domain stays paused where `--until` says.
    private func replayXen(_ manifest: Manifest) throws {
        let until = try stop.clockOfXen()
        if let until, !session.quiet {
            Diagnostics.note("the domain stays paused before exit \(until) until Ctrl-C")
        }
        var prepared = Replay<XenEngine>(options: xen.options(session, until: until), tool: tool)
        prepared.hangPatience = until == nil ? patience(with: manifest) : .infinity
        try replay(prepared, total: 0, isWatched: false)
    }

    /// Seconds after which a replay of Xen that logs no record is hung. A guest may compute for as long as its whole recording
    /// took without an event: a replay of a recording whose duration is not known is not ended.
    private func patience(with manifest: Manifest) -> Double {
        if let patience = session.hangTimeout { return patience }
        guard let outcome = manifest.outcome, outcome.reason != .killed else { return .infinity }
        return outcome.seconds + TTReplay.patienceByLog
    }

    private var tool: String { "tt-replay \(ToolVersion.current)" }

    private var qemuOptions: QEMUEngine.ReplayOptions {
        var options = QEMUEngine.ReplayOptions()
        options.program = session.engine.qemu
        options.trustsManifest = session.engine.trust
        options.changes = changes.changes(extraArguments)
        options.logging = logging.logging
        return options
    }

    /// Seconds that a replay of Xen may be slower than its recording where it logs no record.
    private static let patienceByLog: Double = 60

    /// - Parameters:
    ///   - total: instructions of the recording; 0 if unknown.
    ///   - isWatched: whether the engine shows what the guest executes.
    private func replay<GuestEngine: Engine>(
        _ prepared: Replay<GuestEngine>, total: UInt64, isWatched: Bool = true
    ) throws {
        var replay = prepared
        replay.name = session.name
        replay.output = session.output
        replay.force = session.force
        replay.overwrite = session.overwrite
        if isWatched { replay.hangPatience = session.patience }
        replay.timeLimit = session.timeout
        let progress = RunProgress("replaying", total: total, isQuiet: session.quiet)
        replay.onHashing = { progress.hash(done: $0.done, total: $0.total) }
        if isWatched { replay.onStatus = { progress.run(instructions: $0.instructions) } }
        let summary = try replay.run(of: directory)
        progress.finish()
        try session.report(summary)
    }
}
