// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import ReplaySession
import RunDirectory
import ToolSupport
import TravelSupport

@main
struct TTGDB: ParsableCommand {
    static func main() { ToolMain.run(TTGDB.self) }

    static let configuration = CommandConfiguration(
        commandName: "tt-gdb",
        abstract: "Debug a recorded run with gdb, forwards and backwards.",
        discussion: """
            Replays the run under QEMU up to PLACE (default: the first instruction) and starts gdb on it, with the symbol \
            files at their places in the run. gdb's reverse-stepi, reverse-step, reverse-next, reverse-finish and \
            reverse-continue look up the run's log and go there in one run. The run is not changed: what would write registers \
            or memory is refused.

            COMMANDS IN GDB
            \(TravelCommand.table(TravelRun.commandList, indent: "  "))
              \(TravelCommand.events)

            PLACES
              N                  after N transitions (brctr)
              @ICOUNT            after ICOUNT instructions, as the log counts
              event:N            at the event with that ordinal in the log
              event:KIND[@NUMBER][:NTH]
                                 at the NTH event io, mmio, switch or KIND; of one port, address
                                 or vector
              SYMBOL[:NTH]       the NTH time that a transition leads there; *ADDRESS[:NTH] too
              console:LINE       after that line of the console
              divergence         before the instruction after which the runs part
              end, end-K         K transitions before the end

            EXAMPLES
              tt-gdb /tmp/run1
              tt-gdb /tmp/run1 do_page_fault:3 --symbols vmlinux
              tt-gdb /tmp/run1/replays/patched divergence
              tt-gdb /tmp/run1 -- -batch -x script.gdb

            EXIT STATUS
              gdb's; 2 trouble: the run cannot be replayed, or the place is not found
            """,
        version: ToolVersion.current)

    @Argument(
        help: ArgumentHelp("A run directory, or that of a replay in it.", valueName: "run"), completion: .directory)
    var directory: String

    @Argument(help: ArgumentHelp("Where to stop first.", valueName: "place"))
    var place: Place = .transitions(0)

    @Argument(parsing: .postTerminator, help: ArgumentHelp("After --: passed to gdb.", valueName: "gdb-args"))
    var arguments: [String] = []

    @OptionGroup var travel: TravelOptions

    @Flag(help: "Start no gdb: print the command that attaches one, and serve it until it ends.")
    var serve = false

    @Option(help: ArgumentHelp("gdb's program.", valueName: "file"), completion: .file())
    var gdb = "gdb"

    @OptionGroup var engine: EngineOptions

    @Flag(help: "Print no progress.")
    var quiet = false

    func validate() throws {
        if serve, !arguments.isEmpty { throw ValidationError("--serve starts no gdb that takes arguments.") }
    }

    func run() throws {
        let run = try TravelRun(directory, travel)
        let session = try run.start(engine.sideOptions, isQuiet: quiet, keepsCheckpoints: true)
        try run.go(session, to: place, isQuiet: quiet)
        let server = try DebuggerServer(session, socket: "\(session.privateDirectory)/gdb")
        let commands = run.commands(session)
        server.commands = { try commands.run($0) }
        let script = "\(session.privateDirectory)/ttgdb.py"
        try Files.replace(script, with: PackageResources.ttgdb_py)
        let setup = DebuggerPrint.symbolCommands(run) + ["target extended-remote \(server.socket)"]
        if serve { return try wait(server, session, run, script, setup) }
        // gdb asks before it reads a symbol file that it has one already.
        var words =
            ["-q"] + DebuggerPrint.settings.flatMap { ["-iex", $0] } + ["-x", script, "-ex", "set confirm off"]
        words += setup.flatMap { ["-ex", $0] } + ["-ex", "set confirm on"] + arguments
        let process = try HelperProcess(interactive: gdb, words)
        server.onWait = {
            try run.check(session, ignoringInterrupt: true)
            if process.hasEnded { throw HelperProcess.Ended() }
        }
        do { while try server.serve() == .detached {} } catch is HelperProcess.Ended {}
        let status = process.wait()
        if let signal = process.endSignal {
            throw RunError.engine(problem: "\(gdb) was ended by signal \(signal)", output: "")
        }
        guard server.wasConnected || status == 0 else {
            throw RunError.engine(
                problem: "\(gdb) ended with status \(status) before it connected to the replay", output: "")
        }
        if status != 0 { throw ExitCode(status) }
    }

    private func wait(
        _ server: DebuggerServer, _ session: TravelSession, _ run: TravelRun, _ script: String, _ setup: [String]
    ) throws {
        server.onWait = { try run.check(session) }
        Output.standard.line(
            DebuggerPrint.commandLine(gdb, DebuggerPrint.settings + ["source \(script)", "set confirm off"] + setup))
        Output.standard.flush()
        try server.serve()
    }
}
