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
        discussion: """
            ORIGINAL and REPLAY are logs or run directories. A replay is DIR/replays/NAME. Without --symbols, each \
            side takes its symbols from the kernel that its manifest names.

            EXAMPLES
              tt-analyze diverge run run/replays/1
              tt-analyze diverge --symbols vmlinux --context 20 original.log replay.log

            EXIT STATUS
              0 no difference in what both logs show
              1 the runs differ
              2 trouble, or nothing to compare
            """)

    @Argument(
        help: ArgumentHelp("The recording: a log or a run directory.", valueName: "original"), completion: .file())
    var original: String

    @Argument(
        help: ArgumentHelp("The replay: a log or the directory of a replay.", valueName: "replay"),
        completion: .file())
    var replay: String

    @OptionGroup var symbols: SymbolOptions

    @Option(
        name: .customLong("replay-symbols"),
        help: ArgumentHelp(
            "Take the replay's symbols from this file, if the replay ran another binary; may be repeated.",
            valueName: "file[@address|+slide][,from:to]"),
        completion: .file())
    var replaySymbols: [String] = []

    @Option(help: ArgumentHelp("Number of branches and events to show on each side.", valueName: "n"))
    var context = 8

    @Flag(help: "Decode everything. Use digests only for bodies that cannot be read.")
    var noDigests = false

    @Flag(help: "Refuse logs that belong to different or unknown recordings.")
    var sameRecording = false

    @Option(help: "Format of the report. The JSON schema is stable.")
    var format = DocumentFormat.text

    @Option(help: "Whether to color the text.")
    var color = ColorMode.auto

    func validate() throws {
        guard (0...10_000).contains(context) else { throw ValidationError("--context takes 0 to 10000.") }
    }

    func run() throws {
        let (first, second) = (try LogFile.open(path: original), try LogFile.open(path: replay))
        var options = AlignmentOptions()
        options.useDigests = !noDigests
        options.contextCount = context
        options.requireSameRecording = sameRecording
        let progress = Progress("comparing", unit: "B", total: first.fileSize &+ second.fileSize)
        let alignment = try align(first, second, options: options) { progress.update(fraction: $0) }
        progress.finish()

        let runs = try runs(first, second, isNeeded: alignment.divergence != nil)
        var document = DivergenceDocument(alignment, original: runs.original, replay: runs.replay)
        let commands = DivergeCommands(document: document, symbols: symbols)
        document.spellCommands(commands.spell)
        switch format {
        case .text: Output.standard.write(document.text(TextStyle(width: 80, isColored: color.isOn)))
        case .json: Output.standard.line(try document.json())
        }
        SymbolOptions.finish(runs.original.symbolizer)
        if runs.replay.symbolizer !== runs.original.symbolizer { SymbolOptions.finish(runs.replay.symbolizer) }
        let status = document.exitStatus
        if status != 0 { throw ExitCode(status) }
    }

    /// Describes the two runs, with symbols if they are needed: a run's own files if the user names them, otherwise the
    /// kernel that its manifest names.
    private func runs(
        _ first: LogFile, _ second: LogFile, isNeeded: Bool
    ) throws -> (original: ReportedRun, replay: ReportedRun) {
        let isGiven = symbols.isGiven || !replaySymbols.isEmpty
        let originalFiles = isGiven ? symbols.files : Diverge.kernel(of: original).map { [$0] } ?? []
        var replayFiles = replaySymbols
        if replayFiles.isEmpty {
            replayFiles = isGiven ? symbols.files : Diverge.kernel(of: replay).map { [$0] } ?? []
        }
        let symbolizer = isNeeded ? try self.symbolizer(originalFiles, first, isGiven: isGiven) : nil
        let isOther =
            replayFiles != originalFiles || symbolizer.map { symbols.isPlacedElsewhere($0, in: second) } ?? false
        let other = isNeeded && isOther ? try self.symbolizer(replayFiles, second, isGiven: isGiven) : nil
        let directory = Diverge.manifest(of: original) == nil ? nil : original
        return (
            ReportedRun(
                first, symbolizer: symbolizer, symbolFiles: symbolizer == nil ? [] : originalFiles,
                directory: directory),
            ReportedRun(
                second, symbolizer: other ?? symbolizer,
                symbolFiles: other != nil ? replayFiles : symbolizer == nil ? [] : originalFiles)
        )
    }

    /// Reads symbol files. A file that only a manifest names is optional: it may lack symbols or be no ELF file.
    private func symbolizer(_ files: [String], _ log: LogFile, isGiven: Bool) throws -> Symbolizer? {
        if isGiven { return try symbols.symbolizer(files, for: log, reading: .onDemand()) }
        return try? symbols.symbolizer(files, for: log, reading: .onDemand())
    }

    /// The kernel that the manifest beside a log names, where a file with its contents is found.
    private static func kernel(of path: String) -> String? {
        switch RecordedKernel.find(forRun: path) {
        case .found(let file): return file
        case .changed(let file):
            Diagnostics.warning(
                "\(file.onOneLine) has changed since the run: its names are left out; --symbols FILE gives others")
        case .missing(let file):
            Diagnostics.warning("\(file.onOneLine), the kernel of the run, is not found: --symbols FILE gives names")
        case nil: break
        }
        return nil
    }

    private static func manifest(of path: String) -> Manifest? {
        try? Manifest.read("\(path)/\(Manifest.fileName)")
    }
}
