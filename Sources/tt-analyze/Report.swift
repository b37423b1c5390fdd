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
            the format: .html, .json, .txt or .ttbug. A page of HTML needs no other file and no network. A .ttbug file is \
            a bundle for somebody else: slices of both logs around the divergence, the report, the symbols and the code \
            that the slices ran, and the sources of the lines shown (docs/bundle.md). tt-analyze open reads it.

            The logs hold what the guest read: keys, passwords and personal data can be in a bundle. --redact leaves \
            out the contents of events and the console.

            With --zoom the report in a bundle has what running both sides again has shown, too.

            EXAMPLES
              tt-analyze report run run/replays/1 -o bug.html
              tt-analyze report --symbols vmlinux --context 20 run run/replays/1 -o bug.txt
              tt-analyze report --symbols vmlinux run run/replays/1 -o bug.ttbug

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

    @Option(help: "Format of the report, if the file's name does not end in .html, .json, .txt or .ttbug.")
    var format: ReportFormat?

    @OptionGroup(title: "Options of bundles") var bundle: BundleOptions

    @OptionGroup var options: CompareOptions

    @OptionGroup(title: "Zoom") var zoom: ZoomOptions

    func validate() throws {
        guard format != nil || ReportFormat(fileName: output) != nil else {
            let ends = ReportFormat.allCases.map { ".\($0.fileExtension)" }.joined(separator: ", ")
            throw ValidationError("--output takes a name that ends in one of \(ends), or --format.")
        }
        guard !zoom.zoom || !bundle.redact else {
            throw ValidationError(
                "--zoom and --redact exclude each other: a zoom shows the guest's registers and memory.")
        }
    }

    func run() throws {
        guard let format = format ?? ReportFormat(fileName: output) else { return }
        var comparison = try Comparison(
            original, replay, options, needsNames: zoom.zoom, isForFile: format != .text)
        try OutputFile.refuse(output, overInputs: comparison.inputs)
        try comparison.runAgain(zoom)
        if format == .bundle { return try writeBundle(comparison) }
        let document = comparison.document()
        switch format {
        case .bundle: break
        case .text: try OutputFile.write(document.text(), to: output)
        case .html: try OutputFile.write(HTMLReport(document).text(), to: output)
        case .json: try OutputFile.write(document.json() + "\n", to: output)
        }
        comparison.finish()
        Diagnostics.note("\(output.onOneLine): \(document.title)")
        let status = document.exitStatus
        if status != 0 { throw ExitCode(status) }
    }

    private func writeBundle(_ comparison: Comparison) throws {
        let (manifest, size) = try bundle.write(comparison, to: output, context: options.context ?? 500)
        comparison.finish()
        for warning in manifest.warnings { Diagnostics.warning(warning) }
        Diagnostics.note("\(output.onOneLine): \(size) bytes; \(comparison.alignment.verdict.title)")
        if let zoom = manifest.zoom { Diagnostics.note("zoom: \(zoom)".onOneLine) }
        if comparison.exitStatus != 0 { throw ExitCode(comparison.exitStatus) }
    }
}

/// The format of a file that `report` writes.
enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case html, json, text, bundle

    /// The end of the names of such files.
    var fileExtension: String {
        switch self {
        case .html: "html"
        case .json: "json"
        case .text: "txt"
        case .bundle: "ttbug"
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
