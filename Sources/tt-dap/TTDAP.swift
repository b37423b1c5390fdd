// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import DebugAdapter
@preconcurrency import Glibc
import ReplaySession
import RunDirectory
import ToolSupport
import TravelSupport

@main
struct TTDAP: ParsableCommand {
    static func main() { ToolMain.run(TTDAP.self) }

    static let configuration = CommandConfiguration(
        commandName: "tt-dap",
        abstract: "Debug a recorded run from an editor, forwards and backwards.",
        discussion: """
            Serves the Debug Adapter Protocol on standard input and output, for one client: VS Code, Neovim, Emacs. The \
            client's request `launch` names a run; it is replayed under QEMU up to a place, as by tt-gdb. gdb reads the debug \
            information. Step back goes back over a source line, reverse continue to the breakpoint before, and go to line to \
            the next or the last time that the line ran. The run is not changed: values cannot be set.

            LAUNCH ARGUMENTS
              run                the run directory, or that of a replay in it (needed)
              place              where the guest stops first (see tt-gdb; default: 0)
              symbols, user      symbol files of the kernel and of programs; one or a list
              modules, kaslr     where they were loaded: as the options of tt-gdb
              other              the run that the place `divergence` compares with
              sourceMap          an object: directories of the debug information to directories here
              stopOnEntry        false: go on at once (default: true)
              qemu, gdb          programs
              trust              true: the recording is your own

            COMMANDS IN THE CONSOLE
              EXPRESSION              its value, by gdb
              -exec COMMAND           a command of gdb
            \(TravelCommand.table(TravelRun.commandList, indent: "  "))
              \(TravelCommand.events)

            EXAMPLES
              tt-dap
              tt-dap --log /tmp/tt-dap.log

            EXIT STATUS
              0 the client has disconnected; 2 trouble: wrong arguments
            """,
        version: ToolVersion.current)

    @Option(
        help: ArgumentHelp("Write all messages, and the dialogue with gdb, to a file.", valueName: "file"),
        completion: .file())
    var log: String?

    func run() throws {
        let host = Host()
        // Nothing else may write between two messages.
        let output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
        guard output >= 0, dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 else {
            throw RunError.system(doing: "keep", path: "standard output", code: errno)
        }
        let adapter = Adapter(input: STDIN_FILENO, output: output, host: host)
        adapter.commands = TravelRun.commandList.map { $0.word + ($0.argument.isEmpty ? "" : " ") } + ["help"]
        if let log { adapter.log = try TTDAP.log(to: log) }
        adapter.run()
    }

    /// Lines are written at once, each with its seconds.
    private static func log(to path: String) throws -> (String) -> Void {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw RunError.system(doing: "write", path: path, code: errno) }
        let start = ContinuousClock.now
        return { line in
            let milliseconds = Int(start.duration(to: .now) / .milliseconds(1))
            _ = Files.write(Array("\(milliseconds) ms \(line)\n".utf8), to: file)
        }
    }
}
