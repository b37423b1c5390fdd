// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogFormat
import LogViews
import ToolSupport

struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Say what a log is of and what it holds.",
        discussion: """
            Prints the header, what the recorder saw, how many records of which kind there are and what they take, \
            how the run ended, and what is damaged.

            EXAMPLES
              tt-analyze info run1
              tt-analyze info --format json run1/ttd.log
            """)

    @Argument(
        help: ArgumentHelp("A log, or a state directory that holds ttd.log.", valueName: "log"), completion: .file())
    var path: String

    @Option(help: "How it is printed.")
    var format = DocumentFormat.text

    func run() throws {
        var health = LogHealth(report: Diagnostics.report)
        let log = try health.open(path)
        let summary = LogSummary(log)
        health.add(summary.damage)
        switch format {
        case .text: InfoText(log, summary, damageCount: health.damageCount).print()
        case .json: try InfoDocument(log, summary, damageCount: health.damageCount).print()
        }
        try health.finish()
    }
}
