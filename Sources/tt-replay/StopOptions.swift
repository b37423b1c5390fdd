// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import FoundationEssentials
import ReplaySession
import RunDirectory
import ToolSupport
import TravelSupport

/// A stop at a place of the run, and what is done there.
struct StopOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Replay up to exactly this place, without a log, and wait there for a debugger: brctr, @ICOUNT, event:N, "
                + "event:KIND[@NUMBER][:NTH] (KIND may be io, mmio or switch), SYMBOL[:NTH], *ADDRESS[:NTH], console:LINE, divergence, end, end-K. A domain of Xen stays paused "
                + "before an exit: N, and its replay has a log.", valueName: "place"))
    var until: Place?

    @Option(
        help: ArgumentHelp(
            "Replay up to exactly this place, do what --core and --print ask for, and end.", valueName: "place"))
    var at: Place?

    @Option(
        help: ArgumentHelp(
            "With --at: write an ELF core of the guest to this new file, for gdb, crash and drgn.", valueName: "file"),
        completion: .file())
    var core: String?

    @Option(
        name: .customLong("print"),
        help: ArgumentHelp(
            "With --at: print the value of an expression of gdb: $rax, jiffies_64, *(int *)0x1000. May be repeated. Of a "
                + "Linux guest: tasks, modules (their list is kept in the run's directory, for --modules), dmesg.",
            valueName: "expr"))
    var expressions: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Replay, and log what runs between two places in full to the new file that --output names. The window is "
                + "made of whole cells of the recording's log (65,536 transitions), and compared with their digests.",
            valueName: "from> <to"))
    var trace: [Place] = []

    @Option(
        help: ArgumentHelp(
            "Replay to the end, without a log, and keep a checkpoint after each so many seconds of the run: later, --until, "
                + "--at, --trace and tt-gdb begin at the nearest one.", valueName: "seconds"))
    var checkpoints: Double?

    @Flag(
        help: ArgumentHelp(
            "Keep checkpoints where there are none yet, at a low priority: what a session of tt-gdb runs beside itself.",
            visibility: .private))
    var ahead = false

    @OptionGroup var travel: TravelOptions

    /// The place at which to stop; nil for a whole replay.
    var place: Place? { until ?? at }

    /// The option that has the run gone through; nil for a whole replay.
    var option: String? {
        if !trace.isEmpty { return "--trace" }
        if checkpoints != nil { return "--checkpoints" }
        if ahead { return "--ahead" }
        return place == nil ? nil : until == nil ? "--at" : "--until"
    }

    func validate() throws {
        if until != nil, at != nil { throw ValidationError("--until and --at exclude each other.") }
        if at == nil, core != nil || !expressions.isEmpty {
            throw ValidationError("--core and --print are valid with --at only.")
        }
        if let checkpoints {
            try Seconds.check(checkpoints, "--checkpoints")
            if place != nil || !trace.isEmpty {
                throw ValidationError("--checkpoints excludes --until, --at and --trace.")
            }
        }
        if ahead, checkpoints != nil || place != nil || !trace.isEmpty {
            throw ValidationError("--ahead excludes --checkpoints, --until, --at and --trace.")
        }
        if !trace.isEmpty {
            guard trace.count == 2 else { throw ValidationError("--trace needs two places: --trace FROM TO") }
            if place != nil { throw ValidationError("--trace excludes --until and --at.") }
        }
        if place == nil, trace.isEmpty, checkpoints == nil, travel.symbols.isGiven || travel.other != nil {
            throw ValidationError(
                "--symbols, --user, --modules and --other are valid with --until, --at or --trace only.")
        }
    }

    /// The clock before whose exit a domain of Xen stays paused; nil for a whole replay.
    func clockOfXen() throws -> UInt64? {
        if let option, place == nil { throw ValidationError("\(option) is not valid with a recording of Xen.") }
        guard let place else { return nil }
        guard case .transitions(let clock)? = until else {
            throw ValidationError(
                "A replay of Xen stops with --until N only, before the exit with that clock; not at \(place).")
        }
        return clock
    }

    /// Stops at the place.
    func run(_ directory: String, _ session: SessionOptions) throws {
        guard let place else { return }
        var options = session.engine.sideOptions
        options.patience = session.patience
        let run = try TravelRun(directory, travel)
        let guest = try run.start(options, isQuiet: session.quiet, keepsCheckpoints: until != nil)
        try run.go(guest, to: place, isQuiet: session.quiet)
        var position = try StoppedPosition(guest, run, at: place)
        if until != nil { return try wait(guest, run, &position, session) }
        if let core {
            let result = try CoreFile.write(guest, to: core)
            position.core = core
            if session.format == .text, !session.quiet {
                position.notes.append(
                    "core of \(result.bytes >> 20) MiB: \(core)"
                        + (result.hasKernelNote ? ", with the notes of a Linux kernel" : ""))
            }
        }
        let views = expressions.compactMap(LinuxView.init)
        let others = expressions.filter { LinuxView(rawValue: $0) == nil }
        if !others.isEmpty { position.values = try DebuggerPrint.values(of: others, guest, run) }
        var answers = LinuxAnswers()
        for view in views { try run.ask(view, guest, &answers) }
        if !views.isEmpty { position.linux = answers }
        try report(position, session, views)
        if position.values?.contains(where: { $0.error != nil }) == true { throw ToolStatus.trouble.exitCode }
    }

    /// Logs the window between two places.
    func runTrace(_ directory: String, _ session: SessionOptions, _ logging: QEMUEngine.Logging) throws {
        guard let output = session.output else { throw ValidationError("--trace needs --output for the new log.") }
        var options = session.engine.sideOptions
        options.patience = session.patience
        var logging = logging
        if logging.mode == nil { logging.mode = .branches }
        let (parent, name) = Files.split(output)
        let path = "\(try Files.absolute(parent, what: "directory"))/\(name)"
        let run = try TravelRun(directory, travel)
        let window = try run.trace(
            from: trace[0], to: trace[1], log: path, options, logging: logging,
            isQuiet: session.quiet)
        switch session.format {
        case .json: Output.standard.line(try window.json())
        case .text: if !session.quiet || window.differs { Output.standard.line(window.text) }
        }
        if window.differs { throw ToolStatus.different.exitCode }
    }

    /// Keeps checkpoints for sessions that run at the same time.
    func runAhead(_ directory: String, _ session: SessionOptions) throws {
        try TravelRun(directory, travel).runAhead(session.engine.sideOptions)
    }

    /// Keeps checkpoints of the whole run.
    func runCheckpoints(_ directory: String, _ session: SessionOptions, every seconds: Double) throws {
        guard session.engine.checkpointSpace > 0 else {
            throw ValidationError("--checkpoints keeps checkpoints, --checkpoint-space 0 keeps none.")
        }
        let result = try TravelRun(directory, travel).keepCheckpoints(
            session.engine.sideOptions, every: seconds, isQuiet: session.quiet)
        switch session.format {
        case .json: Output.standard.line(try result.json())
        case .text: if !session.quiet { Output.standard.line(result.text) }
        }
    }

    private func wait(
        _ guest: TravelSession, _ run: TravelRun, _ position: inout StoppedPosition, _ session: SessionOptions
    ) throws {
        let server = try DebuggerServer(guest, socket: "\(guest.privateDirectory)/gdb")
        server.onWait = { try run.check(guest) }
        let commands = run.commands(guest)
        server.commands = { try commands.run($0) }
        position.socket = server.socket
        let commandLine = DebuggerPrint.commandLine(
            "gdb",
            DebuggerPrint.settings + DebuggerPrint.symbolCommands(run) + [
                "target extended-remote \(server.socket)"
            ])
        position.notes.append("attach: \(commandLine)")
        position.notes.append("Ctrl-C, or the end of gdb, ends it")
        try report(position, session)
        Output.standard.flush()
        try server.serve()
    }

    private func report(
        _ position: StoppedPosition, _ session: SessionOptions, _ views: [LinuxView] = []
    ) throws {
        switch session.format {
        case .json: Output.standard.line(try position.json())
        case .text:
            if !session.quiet || position.socket != nil { Output.standard.line(position.text) }
            for note in position.notes { Output.standard.line(note) }
            for value in position.values ?? [] { Output.standard.line(value.text) }
            for view in views { for line in position.linux?.lines(view) ?? [] { Output.standard.line(line) } }
        }
    }
}
