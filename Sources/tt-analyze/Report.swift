// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import Reporting
import ToolSupport

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Write a report about two runs into a file.",
        discussion: """
            ORIGINAL and REPLAY are logs or run directories, as for diverge. The end of the file's name decides about \
            the format: .json or .txt.

            EXAMPLES
              tt-analyze report run run/replays/1 -o bug.json
              tt-analyze report --symbols vmlinux --context 20 run run/replays/1 -o bug.txt

            EXIT STATUS
              0 written; no difference in what both logs show
              1 written; the runs differ
              2 trouble, or nothing to compare
            """)

    @Argument(help: "The recording: a log or a run directory.", completion: .file())
    var original: String

    @Argument(help: "The replay: a log, a run directory or a directory of replays.", completion: .file())
    var replay: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Write this file. An existing file is replaced.", valueName: "file"), completion: .file())
    var output: String

    @Option(help: "Format of the report, if the file's name does not end in .json or .txt.")
    var format: ReportFormat?

    @OptionGroup var options: CompareOptions

    func validate() throws {
        guard format != nil || ReportFormat(fileName: output) != nil else {
            let ends = ReportFormat.allCases.map { ".\($0.fileExtension)" }.joined(separator: ", ")
            throw ValidationError("--output takes a name that ends in one of \(ends), or --format.")
        }
    }

    func run() throws {
        guard let format = format ?? ReportFormat(fileName: output) else { return }
        let comparison = try Comparison(original, replay, options)
        try OutputFile.refuse(output, overInputs: comparison.inputs)
        let document = try comparison.document()
        switch format {
        case .text: try OutputFile.write(document.text(), to: output)
        case .json: try OutputFile.write(document.json() + "\n", to: output)
        }
        comparison.finish()
        Diagnostics.note("\(output.onOneLine): \(document.title)")
        let status = document.exitStatus
        if status != 0 { throw ExitCode(status) }
    }
}

/// The format of a file that `report` writes.
enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case json, text

    /// The end of the names of such files.
    var fileExtension: String {
        switch self {
        case .json: "json"
        case .text: "txt"
        }
    }

    /// The format of a file by its name; nil if the name's end says nothing.
    init?(fileName: String) {
        guard let format = ReportFormat.allCases.first(where: { fileName.hasSuffix(".\($0.fileExtension)") }) else {
            return nil
        }
        self = format
    }
}
