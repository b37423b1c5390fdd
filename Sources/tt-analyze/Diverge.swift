// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import ArgumentParser
import Formatting
import LogFormat
import LogViews
import ReplaySession
import Reporting
import Symbolize
import ToolSupport

struct Diverge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diverge",
        abstract: "Find the first point at which a replay parts from its original.",
        discussion: """
            Both may be logs or state directories; a replay is DIR/replays/NAME. Without --symbols, the kernel that \
            a state directory's manifest names gives the names, each side its own.

            EXAMPLES
              tt-analyze diverge run run/replays/1
              tt-analyze diverge --symbols vmlinux --context 20 original.log replay.log

            EXIT STATUS
              0 no difference in what both logs show
              1 the runs differ
              2 trouble, or nothing to compare
            """)

    @Argument(
        help: ArgumentHelp("The recording: a log or a state directory.", valueName: "original"), completion: .file())
    var original: String

    @Argument(
        help: ArgumentHelp("The replay: a log or the directory of a replay.", valueName: "replay"),
        completion: .file())
    var replay: String

    @OptionGroup var symbols: SymbolOptions

    @Option(
        name: .customLong("replay-symbols"),
        help: ArgumentHelp(
            "Name the replay's addresses after this file, when it ran another binary; may be repeated.",
            valueName: "file[@address|+slide][,from:to]"),
        completion: .file())
    var replaySymbols: [String] = []

    @Option(help: ArgumentHelp("Branches and events that are shown on each side.", valueName: "n"))
    var context = 8

    @Flag(help: "Decode everything; trust no digest of a body that can be read.")
    var noDigests = false

    @Flag(help: "Refuse logs of different or unknown recordings.")
    var sameRecording = false

    @Option(help: "How the report is printed; json keeps its fields from version to version.")
    var format = DocumentFormat.text

    @Option(help: "Whether text is coloured.")
    var color = ColorMode.auto

    func validate() throws {
        guard (0...10_000).contains(context) else { throw ValidationError("--context takes 0 to 10000.") }
    }

    func run() throws {
        let (first, second) = (try LogFile(path: original), try LogFile(path: replay))
        var options = AlignmentOptions()
        options.useDigests = !noDigests
        options.contextCount = context
        options.requireSameRecording = sameRecording
        let progress = Progress("comparing", unit: "B", total: first.fileSize &+ second.fileSize)
        let alignment = try align(first, second, options: options) { progress.update(fraction: $0) }
        progress.finish()

        let report = try report(alignment, first, second)
        switch format {
        case .text: Output.standard.write(report.text(color: color.isOn))
        case .json: Output.standard.line(try report.json())
        }
        report.symbolizers.forEach(SymbolOptions.finish)
        let status = alignment.verdict.exitStatus
        if status != 0 { throw ExitCode(status) }
    }

    private func report(_ alignment: Alignment, _ first: LogFile, _ second: LogFile) throws -> DivergenceReport {
        let isNeeded = alignment.divergence != nil
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
        return DivergenceReport(
            alignment: alignment, original: first, replay: second, symbolizer: symbolizer, replaySymbolizer: other,
            symbolArguments: symbolizer == nil ? [] : symbols.arguments(originalFiles),
            stateDirectory: Diverge.manifest(of: original) == nil ? nil : original)
    }

    /// Reads symbol files; files that only a manifest names may lack names, or be no ELF files at all.
    private func symbolizer(_ files: [String], _ log: LogFile, isGiven: Bool) throws -> Symbolizer? {
        if isGiven { return try symbols.symbolizer(files, for: log, reading: .asAsked()) }
        return try? symbols.symbolizer(files, for: log, reading: .asAsked())
    }

    /// The kernel that the manifest beside a log names.
    private static func kernel(of path: String) -> String? { manifest(of: path)?.guest.kernel?.path }

    private static func manifest(of path: String) -> Manifest? {
        try? Manifest.read("\(path)/\(Manifest.fileName)")
    }
}
