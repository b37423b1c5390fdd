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
                + "SYMBOL[:NTH], *ADDRESS[:NTH], console:LINE, divergence, end, end-K. A domain of Xen stays paused "
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
            "With --at: print the value of an expression of gdb: $rax, jiffies_64, *(int *)0x1000. May be repeated.",
            valueName: "expr"))
    var expressions: [String] = []

    @OptionGroup var travel: TravelOptions

    /// The place at which to stop; nil for a whole replay.
    var place: Place? { until ?? at }

    func validate() throws {
        if until != nil, at != nil { throw ValidationError("--until and --at exclude each other.") }
        if at == nil, core != nil || !expressions.isEmpty {
            throw ValidationError("--core and --print are valid with --at only.")
        }
        if place == nil, travel.symbols.isGiven || travel.other != nil {
            throw ValidationError("--symbols, --user, --modules and --other are valid with --until or --at only.")
        }
    }

    /// The clock before whose exit a domain of Xen stays paused; nil for a whole replay.
    func clockOfXen() throws -> UInt64? {
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
        var options = ReplaySide.Options()
        options.program = session.qemu
        options.trustsManifest = session.trust
        options.patience = session.hangTimeout
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
        if !expressions.isEmpty { position.values = try DebuggerPrint.values(of: expressions, guest, run) }
        try report(position, session)
        if position.values?.contains(where: { $0.error != nil }) == true { throw ToolStatus.trouble.exitCode }
    }

    private func wait(
        _ guest: TravelSession, _ run: TravelRun, _ position: inout StoppedPosition, _ session: SessionOptions
    ) throws {
        let server = try DebuggerServer(guest, socket: "\(guest.privateDirectory)/gdb")
        server.onWait = { try run.checkSignals() }
        let commands = run.commands(guest)
        server.commands = { try commands.run($0) }
        position.socket = server.socket
        let commandLine = DebuggerPrint.commandLine(
            "gdb", DebuggerPrint.symbolCommands(run.symbolizer) + ["target extended-remote \(server.socket)"])
        position.notes.append("attach: \(commandLine)")
        position.notes.append("Ctrl-C, or the end of gdb, ends it")
        try report(position, session)
        Output.standard.flush()
        try server.serve()
    }

    private func report(_ position: StoppedPosition, _ session: SessionOptions) throws {
        switch session.format {
        case .json: Output.standard.line(try position.json())
        case .text:
            if !session.quiet || position.socket != nil { Output.standard.line(position.text) }
            for note in position.notes { Output.standard.line(note) }
            for value in position.values ?? [] { Output.standard.line(value.text) }
        }
    }
}
