// SPDX-License-Identifier: GPL-2.0-or-later

import CEditLine
import Formatting
@preconcurrency import Glibc
import ToolSupport
import TraceIndex

/// The prompt of `tt-analyze sql` without a query: statements up to a semicolon, and commands that begin with a dot.
struct SQLPrompt {
    private let session: QuerySession
    private var format: ResultFormat
    private let isTerminal = isatty(STDIN_FILENO) == 1

    private static let help = """
        SELECT …;        answers a query; it may take several lines
        .views           the views
        .schema [VIEW]   the columns of a view, or of all
        .format FORMAT   table, csv, jsonl, markdown or box
        .help            this list
        .quit            ends; so does Ctrl-D. Ctrl-C ends a query. TAB completes names.

        """

    init(_ session: QuerySession, format: ResultFormat) {
        self.session = session
        self.format = format
    }

    /// Reads and answers queries until the input ends. An error in a query is reported, and the next query is read.
    ///
    /// - Returns: Whether every query was answered.
    mutating func run() -> Bool {
        let history = SQLPrompt.historyFile
        if isTerminal {
            SQLPrompt.setWords(session)
            if let history { tt_edit_load_history(history) }
            Diagnostics.note("\(session.runNames.joined(separator: ", ")): .help lists the commands")
        }
        defer { if isTerminal, let history { tt_edit_save_history(history) } }
        var isGood = true
        var text = ""
        while let line = readLine(isFirst: text.isEmpty) {
            if text.isEmpty, line.hasPrefix(".") {
                if command(line) { return isGood }
                continue
            }
            text += (text.isEmpty ? "" : "\n") + line
            guard QuerySession.isComplete(text) else { continue }
            isGood = answer(text) && isGood
            text = ""
        }
        let rest = text.contains { !$0.isWhitespace }
        return (!rest || answer(text)) && isGood
    }

    private func readLine(isFirst: Bool) -> String? {
        guard isTerminal else { return Swift.readLine() }
        Output.standard.flush()
        guard let line = tt_edit_read(isFirst ? "sql> " : "...> ") else { return nil }
        defer { free(line) }
        return String(cString: line)
    }

    private func answer(_ sql: String) -> Bool {
        let writer = ResultWriter(format, to: Output.standard)
        defer { Output.standard.flush() }
        do {
            try session.run(sql, begin: writer.begin, row: writer.write)
            writer.finish()
            return true
        } catch {
            writer.finish()
            Output.standard.flush()
            Diagnostics.error("\(error)")
            return false
        }
    }

    /// Runs a command; true when it ends the prompt.
    private mutating func command(_ line: String) -> Bool {
        let words = line.split(whereSeparator: \.isWhitespace)
        let argument = words.dropFirst().first.map(String.init)
        switch words.first {
        case ".quit", ".exit", ".q": return true
        case ".help": Output.standard.write(SQLPrompt.help)
        case ".views", ".tables":
            let width = session.views.map(\.name.count).max() ?? 0
            for view in session.views {
                let padding = String(repeating: " ", count: width - view.name.count)
                Output.standard.line("\(view.name)\(padding)  \(view.summary)")
            }
        case ".schema":
            let views = session.views.filter { argument == nil || $0.name == argument }
            if views.isEmpty { Diagnostics.error("no view \(argument ?? "")") }
            Output.standard.write(SchemaText.text(of: views))
        case ".format", ".mode":
            if let chosen = argument.flatMap(ResultFormat.init(rawValue:)) {
                format = chosen
            } else {
                Diagnostics.error("formats: \(ResultFormat.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        default: Diagnostics.error("no command \(line.onOneLine); .help lists them")
        }
        Output.standard.flush()
        return false
    }

    // MARK: Terminal

    /// `$XDG_STATE_HOME/tt-analyze-sql-history`, or in `~/.local/state`; nil where that folder is not there.
    private static var historyFile: String? {
        func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        let directory = environment("XDG_STATE_HOME") ?? environment("HOME").map { "\($0)/.local/state" }
        guard let directory, directory.hasPrefix("/"), access(directory, W_OK) == 0 else { return nil }
        return "\(directory)/tt-analyze-sql-history"
    }

    /// TAB completes the names of views, columns, runs and functions, and SQL's words.
    private static func setWords(_ session: QuerySession) {
        var words = Set(session.views.map(\.name) + session.views.flatMap { $0.columns.map(\.name) })
        words.formUnion(session.runNames.filter { $0 != "main" }.map { "\($0)." } + session.functionNames)
        words.formUnion([
            "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "JOIN", "LEFT JOIN", "COUNT(", "BETWEEN",
            "DISTINCT", "UNION", "EXCEPT", "INTERSECT", "DESC", "HAVING", "OVER", ".help", ".views", ".schema",
            ".format", ".quit",
        ])
        // The list stays as long as the process.
        let list = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: words.count + 1)
        for (index, word) in words.sorted().enumerated() {
            (list + index).initialize(to: UnsafePointer(strdup(word)))
        }
        (list + words.count).initialize(to: nil)
        tt_edit_words(list)
    }
}
