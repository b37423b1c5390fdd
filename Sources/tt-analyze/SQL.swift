// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import Glibc
import LogFormat
import LogViews
import ToolSupport
import TraceIndex

struct SQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql",
        abstract: "Answer SQL queries about a run.",
        discussion: """
            The run's index (ttd.log.ttidx, SQLite) is built or updated first, as far as the query reads it. \
            Queries only read. With two runs, their views are orig.event, replay.event, and so on; divergence and \
            *_difference compare them. docs/sql.md lists the views and answers frequent questions. Without a query, statements are read from standard input: at a \
            terminal with a prompt, a history and completion. An index with the log inside (tt-analyze index \
            --self-contained) is a run too.

            EXAMPLES
              tt-analyze sql run "SELECT kind, count(*) FROM event GROUP BY kind"
              tt-analyze sql --format csv run "SELECT * FROM exception"
              tt-analyze sql run run/replays/1 "SELECT count(*) FROM orig.event UNION SELECT count(*) FROM replay.event"
              tt-analyze sql run run/replays/1 "SELECT * FROM function_difference WHERE orig_count = 0"
            """)

    @Argument(
        help: ArgumentHelp(
            "One or two logs or run directories, then the query. An argument that is an existing file or directory is a run.",
            valueName: "run... query"),
        completion: .file())
    var arguments: [String]

    @OptionGroup var symbols: SymbolOptions

    @Option(help: "How rows are printed.")
    var format = ResultFormat.table

    func validate() throws {
        guard (1...3).contains(arguments.count) else {
            throw ValidationError("Give one or two runs, and a query.")
        }
    }

    func run() throws {
        // The last argument is a run when there is such a file: no query is the name of a file.
        let hasQuery = arguments.count > 1 && access(arguments[arguments.count - 1], F_OK) != 0
        let paths = hasQuery ? arguments.dropLast() : arguments[...]
        guard paths.count <= 2 else { throw ValidationError("Give one or two runs, and a query.") }
        if hasQuery { SignalThread.start() }
        var health = LogHealth(report: Diagnostics.report)
        let names = paths.count == 1 ? ["main"] : ["orig", "replay"]
        let runs = try zip(names, paths).map { name, path in
            if let log = try LogCopy.log(in: path) {
                var options = IndexSettings.options(for: log, symbols)
                options.output = path
                return QuerySession.Run(name: name, log: log, options: options)
            }
            let log = try health.open(path)
            return QuerySession.Run(name: name, log: log, options: IndexSettings.options(for: log, symbols))
        }
        let divergence = runs.count == 2 ? { try SQLDivergence.rows(runs[0].log, runs[1].log) } : nil
        let session = try QuerySession(runs, divergence: divergence)
        if hasQuery {
            let writer = ResultWriter(format, to: Output.standard)
            defer { writer.finish() }
            try session.run(arguments[arguments.count - 1], begin: writer.begin, row: writer.write)
        } else {
            SignalThread.start(session.interruptHandle)
            var prompt = SQLPrompt(session, format: format)
            guard prompt.run() else { throw ToolStatus.trouble }
        }
        try health.finish()
    }
}

extension ResultFormat: ExpressibleByArgument {}
