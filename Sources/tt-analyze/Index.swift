// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogFormat
import LogViews
import Symbolize
import ToolSupport
import TraceIndex

struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index",
        abstract: "Make the SQL index of a run.",
        discussion: """
            The index is LOG.ttidx, an SQLite file that any SQLite reads. tt-analyze sql makes the parts that it needs itself; \
            this command makes an index ahead of time, with accesses as rows, with the calls, or with the log inside.

            EXAMPLES
              tt-analyze index --symbols vmlinux --calls run
              tt-analyze index --self-contained -o run.ttidx run
            """)

    @Argument(
        help: ArgumentHelp("A log, or a run directory that holds ttd.log.", valueName: "log"), completion: .file())
    var path: String

    @Flag(help: "Make accesses rows too; without it they stay in the log and are read from there.")
    var accesses = false

    @Flag(help: "Make the table of calls too.")
    var calls = false

    @Flag(help: "Copy the log into the index, so that one file is enough.")
    var selfContained = false

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Write the index to this file.", valueName: "file"),
        completion: .file())
    var output: String?

    @OptionGroup var symbols: SymbolOptions

    func run() throws {
        SignalThread.start()
        var health = LogHealth(report: Diagnostics.report)
        let log = try health.open(path)
        var options = IndexSettings.options(for: log, symbols)
        options.hasAccessRows = accesses
        options.isSelfContained = selfContained
        options.output = output
        var stages: Set<BuildStage> = [.events, .edges, .places]
        if calls { stages.insert(.calls) }
        let index = try LogIndex.prepare(log, stages: stages, options: options)
        Output.standard.line(index.path)
        try health.finish()
    }
}

/// How the commands make indexes.
enum IndexSettings {
    static func options(for log: LogFile, _ symbols: SymbolOptions) -> LogIndex.Options {
        var options = LogIndex.Options()
        options.notices = Diagnostics.report
        if symbols.isGiven {
            options.symbols = symbols.arguments(symbols.files).joined(separator: "\n")
            options.symbolizer = { log in try symbols.symbolizer(for: log, reading: .onDemand()) }
        }
        let progress = Progress("indexing", unit: "", total: 1000)
        options.progress = { _, share in
            if share >= 1 { progress.finish() } else { progress.update(fraction: share) }
        }
        return options
    }
}
