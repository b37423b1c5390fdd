// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import ToolSupport

@main
struct TTAnalyze: ParsableCommand {
    static func main() { ToolMain.run(TTAnalyze.self) }

    static let configuration = CommandConfiguration(
        commandName: "tt-analyze",
        abstract: "Analyze the trace logs of recorded and replayed guests, and find where two runs differ.",
        discussion: """
            Every LOG may be a run directory, which holds its log as ttd.log. Positions are branch counters, decimal or \
            hexadecimal with 0x.

            EXIT STATUS
              0 done; diverge, report: the runs are the same
              1 diverge, report: the runs differ; verify --symbols: the branches contradict the code
              2 trouble: usage, a file that cannot be read, damage, nothing to compare
            """,
        version: ToolVersion.current,
        subcommands: [
            Diverge.self, Report.self, Info.self, Events.self, Verify.self, Slice.self, SymbolizeCommand.self,
            Index.self, SQL.self, Schema.self, Import.self, Open.self,
        ])
}

/// How a command prints one document.
enum DocumentFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}
