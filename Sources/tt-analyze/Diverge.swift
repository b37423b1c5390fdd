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
            """,
        discussion: """
            ORIGINAL and REPLAY are logs or run directories. A replay is DIR/replays/NAME. Without --symbols, each \
            side takes its symbols from the kernel that its manifest names.

            EXAMPLES
              tt-analyze diverge run run/replays/1
              tt-analyze diverge --symbols vmlinux --context 20 original.log replay.log
              tt-analyze diverge good1 good2 --against bad

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
    var logs: [String]

    @Option(
        help: ArgumentHelp(
            "Compare good runs with this bad run, and find the first element at which all good runs differ from all "
                + "bad runs. May be repeated.",
            valueName: "bad"),
        completion: .file())
    var against: [String] = []

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

    @Option(
        help: ArgumentHelp(
            "Ignore differences of the path in this function, or at these addresses: both sides are followed to its "
                + "return and compared from there. May be repeated.",
            valueName: "function|from:to"))
    var ignore: [String] = []

    @Option(
        help: ArgumentHelp(
            "Add the benign differences that this JSON file describes (docs/divergence.md).", valueName: "file"),
        completion: .file())
    var rules: String?

    @Flag(help: "Report all differences: use no rules about benign ones.")
    var strict = false

    @Option(help: "Format of the report. The JSON schema is stable.")
    var format = DocumentFormat.text

    @Option(help: "Whether to color the text.")
    var color = ColorMode.auto

    func validate() throws {
        guard (0...10_000).contains(context) else { throw ValidationError("--context takes 0 to 10000.") }
        guard against.isEmpty ? logs.count == 2 : !logs.isEmpty else {
            throw ValidationError("diverge takes an original and a replay, or good runs and --against.")
        }
        guard !strict || rules == nil else { throw ValidationError("--strict and --rules exclude each other.") }
    }

    private var original: String { logs[0] }
    private var replay: String { logs[1] }

    func run() throws {
        guard against.isEmpty else { return try compareFamily() }
        let (first, second) = (try LogFile.open(path: original), try LogFile.open(path: replay))
        var options = AlignmentOptions()
        options.useDigests = !noDigests
        options.contextCount = context
        options.requireSameRecording = sameRecording
        options.rules = try benignRules()
        // Names of functions are needed before the comparison.
        var runs: (original: ReportedRun, replay: ReportedRun)?
        if !ignore.isEmpty {
            let described = try self.runs(first, second, isNeeded: true)
            options.ignoredCode = try ignore.map {
                try DivergeInputs.ignoredCode($0, described.original, described.replay)
            }
            runs = described
        }
        let progress = Progress("comparing", unit: "B", total: first.fileSize &+ second.fileSize)
        let alignment = try align(first, second, options: options) { progress.update(fraction: $0) }
        progress.finish()

        let described = try runs ?? self.runs(first, second, isNeeded: alignment.divergence != nil)
        var document = DivergenceDocument(alignment, original: described.original, replay: described.replay)
        let commands = DivergeCommands(document: document, symbols: symbols)
        document.spellCommands(commands.spell)
        switch format {
        case .text: Terminal.write(document.text(TextStyle(width: Terminal.width, isColored: color.isOn)))
        case .json: Output.standard.line(try document.json())
        }
        let (named, other) = (described.original.symbolizer, described.replay.symbolizer)
        SymbolOptions.finish(named)
        if other !== named { SymbolOptions.finish(other) }
        let status = document.exitStatus
        if status != 0 { throw ExitCode(status) }
    }

    /// Compares good runs with bad runs.
    private func compareFamily() throws {
        var options = AlignmentOptions()
        options.useDigests = !noDigests
        options.requireSameRecording = sameRecording
        options.rules = try benignRules()
        let (good, bad) = (try logs.map { try LogFile.open(path: $0) }, try against.map { try LogFile.open(path: $0) })
        let progress = Progress("comparing", unit: "runs", total: UInt64(good.count + bad.count))
        let family = try RunFamily(good: good, bad: bad, options: options) { done, total in
            progress.update(fraction: Double(done) / Double(max(total, 1)))
        }
        progress.finish()
        let path = logs[family.reference]
        let kernel = symbols.isGiven ? [] : Diverge.kernel(of: path).map { [$0] } ?? []
        let files = symbols.isGiven ? symbols.files : kernel
        let log = good[family.reference]
        let symbolizer = try symbolizer(files, log, isGiven: symbols.isGiven)
        let document = FamilyDocument(family, reference: ReportedRun(log, symbolizer: symbolizer, symbolFiles: files))
        switch format {
        case .text: Terminal.write(document.text(TextStyle(width: Terminal.width, isColored: color.isOn)))
        case .json: Output.standard.line(try document.json())
        }
        SymbolOptions.finish(symbolizer)
        if document.isDifferent { throw ExitCode(1) }
    }

    /// The rules about benign differences: the standard ones and those of the file.
    private func benignRules() throws -> [BenignRule] {
        if strict { return [] }
        return BenignRule.standard + (try rules.map(DivergeInputs.rules) ?? [])
    }

    /// Describes the two runs, with symbols if they are needed: a run's own files if the user names them, otherwise the
    /// kernel that its manifest names.
    private func runs(
        _ first: LogFile, _ second: LogFile, isNeeded: Bool
    ) throws -> (original: ReportedRun, replay: ReportedRun) {
        let manifests = (Diverge.manifest(of: original), Diverge.manifest(of: replay))
        let isGiven = symbols.isGiven || !replaySymbols.isEmpty
        let originalFiles = isGiven ? symbols.files : isNeeded ? Diverge.kernel(of: original).map { [$0] } ?? [] : []
        var replayFiles = replaySymbols
        if replayFiles.isEmpty {
            replayFiles = isGiven ? symbols.files : isNeeded ? Diverge.kernel(of: replay).map { [$0] } ?? [] : []
        }
        let symbolizer = isNeeded ? try self.symbolizer(originalFiles, first, isGiven: isGiven) : nil
        let isOther =
            replayFiles != originalFiles || symbolizer.map { symbols.isPlacedElsewhere($0, in: second) } ?? false
        let other = isNeeded && isOther ? try self.symbolizer(replayFiles, second, isGiven: isGiven) : nil
        return (
            ReportedRun(
                first, symbolizer: symbolizer, symbolFiles: symbolizer == nil ? [] : originalFiles,
                directory: manifests.0 == nil ? nil : original, settings: manifests.0.map(RunSetting.all) ?? []),
            ReportedRun(
                second, symbolizer: other ?? symbolizer,
                symbolFiles: other != nil ? replayFiles : symbolizer == nil ? [] : originalFiles,
                directory: manifests.1 == nil ? nil : replay, settings: manifests.1.map(RunSetting.all) ?? [])
        )
    }

    /// Reads symbol files. A file that only a manifest names is optional: it may lack symbols or be no ELF file.
    private func symbolizer(_ files: [String], _ log: LogFile, isGiven: Bool) throws -> Symbolizer? {
        if isGiven { return try symbols.symbolizer(files, for: log, reading: .onDemand()) }
        return try? symbols.symbolizer(files, for: log, reading: .onDemand())
    }

    /// The kernel that the manifest beside a log names, if a file with its contents is found.
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

    /// The manifest of a run directory; nil for anything else.
    private static func manifest(of path: String) -> Manifest? {
        try? Manifest.read("\(path)/\(Manifest.fileName)")
    }
}
