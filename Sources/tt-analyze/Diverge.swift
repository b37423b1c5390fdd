// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import ArgumentParser
import Formatting
import LogFormat
import LogViews
import Reporting
import RunDirectory
import Symbolize
import ToolSupport

struct Diverge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diverge",
        abstract: "Find the first point at which a replay differs from its original.",
        usage: """
            tt-analyze diverge [<options>] <original> <replay>
            tt-analyze diverge [<options>] <good> ... --against <bad> ...
            tt-analyze diverge [<options>] --pairs <list|dir> -o <file>
            """,
        discussion: """
            ORIGINAL and REPLAY are logs or run directories. A replay is DIR/replays/NAME. Without --symbols, each \
            side takes its symbols from the kernel that its manifest names.

            EXAMPLES
              tt-analyze diverge run run/replays/1
              tt-analyze diverge --symbols vmlinux --context 20 original.log replay.log
              tt-analyze diverge run run/replays/1 --zoom --budget 60s
              tt-analyze diverge good1 good2 --against bad
              tt-analyze diverge --pairs nightly/ -o nightly.jsonl

            EXIT STATUS
              0 no difference in what both logs show
              1 the runs differ
              2 trouble, or nothing to compare
            """)

    @Argument(
        help: ArgumentHelp(
            "The recording and the replay: logs, run directories or directories of replays. With --against, good runs.",
            valueName: "log"),
        completion: .file())
    var logs: [String] = []

    @Option(
        help: ArgumentHelp(
            "Compare good runs with this bad run, and find the first element at which all good runs differ from all "
                + "bad runs. May be repeated.",
            valueName: "bad"),
        completion: .file())
    var against: [String] = []

    @Option(
        help: ArgumentHelp(
            "Compare many pairs: those of a list with an original and a replay a line, or all replays of the run "
                + "directories in a directory. Writes one JSON line a pair to the output, continues an output that was "
                + "interrupted, and prints a table of the first divergences by class and place.",
            valueName: "list|dir"),
        completion: .file())
    var pairs: String?

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file of JSON lines, with --pairs.", valueName: "file"),
        completion: .file())
    var output: String?

    @OptionGroup var options: CompareOptions

    @Option(help: "Format of the report. The JSON schema is stable.")
    var format = DocumentFormat.text

    @Option(help: "Whether to color the text.")
    var color = ColorMode.auto

    @OptionGroup(title: "Zoom") var zoom: ZoomOptions

    func validate() throws {
        guard !zoom.zoom || against.isEmpty else { throw ValidationError("--zoom and --against exclude each other.") }
        guard (pairs == nil) == (output == nil) else { throw ValidationError("--pairs and --output go together.") }
        if pairs != nil {
            guard logs.isEmpty, against.isEmpty, options.ignore.isEmpty, options.replaySymbols.isEmpty, !zoom.zoom
            else {
                throw ValidationError("--pairs excludes logs, --against, --ignore, --replay-symbols and --zoom.")
            }
            return
        }
        guard against.isEmpty ? logs.count == 2 : !logs.isEmpty else {
            throw ValidationError("diverge takes an original and a replay, or good runs and --against.")
        }
    }

    func run() throws {
        if let pairs, let output {
            let table = try Fleet(list: PairList(pairs), options: options, path: output).run()
            Output.standard.write(table.text)
            if table.status != 0 { throw ExitCode(table.status) }
            return
        }
        guard against.isEmpty else { return try compareFamily() }
        var comparison = try Comparison(logs[0], logs[1], options, needsNames: zoom.zoom)
        try comparison.runAgain(zoom)
        let document = comparison.document()
        switch format {
        case .text: Terminal.write(document.text(TextStyle(width: Terminal.width, isColored: color.isOn)))
        case .json: Output.standard.line(try document.json())
        }
        comparison.finish()
        let status = document.exitStatus
        if status != 0 { throw ExitCode(status) }
    }

    /// Compares good runs with bad runs.
    private func compareFamily() throws {
        let alignmentOptions = try options.alignmentOptions()
        let (good, bad) = (try logs.map { try LogFile.open(path: $0) }, try against.map { try LogFile.open(path: $0) })
        let progress = Progress("comparing", unit: "runs", total: UInt64(good.count + bad.count))
        let family = try RunFamily(good: good, bad: bad, options: alignmentOptions) { done, total in
            progress.update(fraction: Double(done) / Double(max(total, 1)))
        }
        progress.finish()
        let path = logs[family.reference]
        let symbols = options.symbols
        let kernel = symbols.isGiven ? [] : Comparison.kernel(of: path).map { [$0] } ?? []
        let files = symbols.isGiven ? symbols.files : kernel
        let log = good[family.reference]
        let symbolizer = try Comparison.symbolizer(symbols, files, log, isGiven: symbols.isGiven)
        let document = FamilyDocument(family, reference: ReportedRun(log, symbolizer: symbolizer, symbolFiles: files))
        switch format {
        case .text: Terminal.write(document.text(TextStyle(width: Terminal.width, isColored: color.isOn)))
        case .json: Output.standard.line(try document.json())
        }
        SymbolOptions.finish(symbolizer)
        if document.isDifferent { throw ExitCode(1) }
    }
}
