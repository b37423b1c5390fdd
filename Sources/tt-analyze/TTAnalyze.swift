// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import ToolSupport

@main
struct TTAnalyze: ParsableCommand {
    static func main() { ToolMain.run(TTAnalyze.self) }

    static let configuration = CommandConfiguration(
        commandName: "tt-analyze",
        abstract: "Look into the trace logs of recorded and replayed guests, and find where two runs part.",
        discussion: """
            Wherever a log is expected, a state directory that holds one (ttd.log) serves too. Positions are branch \
            counters, decimal or hexadecimal with 0x.

            EXIT STATUS
              0 done; with diverge: the runs are the same
              1 with diverge: the runs differ
              2 trouble: usage, a file that cannot be read, damage, nothing to compare
            """,
        version: ToolVersion.current,
        subcommands: [
            Diverge.self, Info.self, Events.self, Verify.self, Slice.self, SymbolizeCommand.self, Index.self,
            SQL.self, Schema.self,
        ])
}

/// How a command prints one document.
enum DocumentFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}
