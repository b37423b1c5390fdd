// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogFormat
import LogViews
import Reporting
import ToolSupport

struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Describe a log: its run, its contents, its end, its damage.",
        discussion: """
            Prints the header, the features of the recorder, the number and the size of the records of each kind, the \
            end of the run, and the damage.

            EXAMPLES
              tt-analyze info run1
              tt-analyze info --format json run1/ttd.log
            """)

    @Argument(
        help: ArgumentHelp("A log or a run directory.", valueName: "log"), completion: .file())
    var path: String

    @Option(help: "Format of the description.")
    var format = DocumentFormat.text

    func run() throws {
        var health = LogHealth(report: Diagnostics.report)
        let log = try health.open(path)
        let summary = LogSummary(log)
        health.add(summary.damage)
        switch format {
        case .text: LogInfoText(log, summary, damageCount: health.damageCount, to: Output.standard).write()
        case .json:
            let document = LogInfoDocument(log, summary, damageCount: health.damageCount)
            Output.standard.line(try JSONText.document(document))
        }
        try health.finish()
    }
}
