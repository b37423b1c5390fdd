// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import ToolSupport
import TraceIndex

struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print the views and columns that SQL queries can read.",
        discussion: """
            EXAMPLES
              tt-analyze schema
              tt-analyze schema --format json
            """)

    @Option(help: "How it is printed.")
    var format = DocumentFormat.text

    func run() throws {
        switch format {
        case .text: Output.standard.write(SchemaText.text)
        case .json: Output.standard.line(SchemaText.json)
        }
    }
}
