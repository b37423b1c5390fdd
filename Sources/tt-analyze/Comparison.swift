// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat
import MachineCode
import Reporting
import RunDirectory
import Symbolize
import ToolSupport

/// Two runs that a command has compared, with everything that a report about them needs.
struct Comparison {
    /// The result.
    let alignment: AlignmentResult
    /// The recording.
    let original: ReportedRun
    /// The run that was compared with it.
    let replay: ReportedRun
    private let symbols: SymbolOptions
    private let paths: (original: String, replay: String)
    /// What the document has in addition.
    private(set) var content: DocumentContent

    /// Opens two logs, compares them and reads the symbols that the result needs.
    ///
    /// - Parameters:
    ///   - original: the log or run directory of the recording.
    ///   - replay: the log or run directory of the other run.
    ///   - needsNames: whether symbols are read even if the logs do not differ.
    ///   - isForFile: whether the document has what a report in a file shows in addition.
    init(
        _ original: String, _ replay: String, _ options: CompareOptions, needsNames: Bool = false,
        isForFile: Bool = false
    ) throws {
        content = DocumentContent(hasDetails: isForFile, sources: options.sources.tree)
        symbols = options.symbols
        paths = (original, replay)
        let (first, second) = try Comparison.open(original, replay)
        let inputs = Inputs(original: original, replay: replay, options: options)
        var alignmentOptions = try options.alignmentOptions(context: isForFile ? 500 : 8)
        // Names of functions are needed before the comparison.
        var runs: (original: ReportedRun, replay: ReportedRun)?
        if !options.ignore.isEmpty {
            let described = try inputs.runs(first, second, isNeeded: true)
            alignmentOptions.ignoredCode = try options.ignore.map {
                try DivergeInputs.ignoredCode($0, described.original, described.replay)
            }
            runs = described
        }
        let progress = Progress("comparing", unit: "B", total: first.fileSize &+ second.fileSize)
        let alignment = try align(first, second, options: alignmentOptions) { progress.update(fraction: $0) }
        progress.finish()
        let described = try runs ?? inputs.runs(first, second, isNeeded: alignment.divergence != nil || needsNames)
        (self.alignment, self.original, self.replay) = (alignment, described.original, described.replay)
    }

    /// Opens two logs at the same time: reading the directory of a log of 10^9 branches takes 0.02 s.
    private static func open(_ original: String, _ replay: String) throws -> (LogFile, LogFile) {
        let paths = [original, replay]
        let opened = Parallel.Results<Result<LogFile, any Error>>(paths.count)
        Parallel.run(paths.count) { index in
            opened.put(Result { try LogFile.open(path: paths[index]) }, at: index)
        }
        let logs = try opened.take().map { try $0.get() }
        return (logs[0], logs[1])
    }

    /// Runs both sides again, if that is asked for and the runs can be compared.
    mutating func runAgain(_ options: ZoomOptions) throws {
        guard options.zoom, alignment.verdict.kind != .notComparable else { return }
        content.zoom = try options.explain(alignment, original, replay, paths)
    }

    /// The exit status of a tool that reports the result: 0 same, 1 different, 2 not comparable.
    var exitStatus: Int32 {
        let status = alignment.verdict.exitStatus
        return status == 0 && content.zoom?.showsDifference == true ? 1 : status
    }

    /// The document of the result, with the command lines of its next steps.
    func document() -> DivergenceDocument {
        var document = DivergenceDocument(alignment, original: original, replay: replay, content: content)
        let commands = DivergeCommands(document: document, symbols: symbols)
        document.spellCommands(commands.spell)
        return document
    }

    /// The files that were read.
    var inputs: [String] {
        [original.log.path, replay.log.path] + original.symbolFiles + replay.symbolFiles
    }

    /// Prints problems of symbol files, and writes their tables to the cache.
    func finish() {
        let (named, other) = (original.symbolizer, replay.symbolizer)
        SymbolOptions.finish(named)
        if other !== named { SymbolOptions.finish(other) }
    }

    /// Reads symbol files. A file that only a manifest names is optional: it may lack symbols or be no ELF file.
    static func symbolizer(
        _ symbols: SymbolOptions, _ files: [String], _ log: LogFile, isGiven: Bool
    ) throws -> Symbolizer? {
        if isGiven { return try symbols.symbolizer(files, for: log, reading: .onDemand()) }
        return try? symbols.symbolizer(files, for: log, reading: .onDemand())
    }

    /// The kernel that the manifest beside a log names, if a file with its contents is found.
    static func kernel(of path: String) -> String? {
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
    static func manifest(of path: String) -> Manifest? {
        try? Manifest.read("\(path)/\(Manifest.fileName)")
    }
}

/// The two runs that the arguments of a command name.
private struct Inputs {
    let original: String
    let replay: String
    let options: CompareOptions
    private var symbols: SymbolOptions { options.symbols }

    init(original: String, replay: String, options: CompareOptions) {
        (self.original, self.replay, self.options) = (original, replay, options)
    }

    /// Describes the two runs, with symbols if they are needed: a run's own files if the user names them, otherwise the
    /// kernel that its manifest names.
    func runs(
        _ first: LogFile, _ second: LogFile, isNeeded: Bool
    ) throws -> (original: ReportedRun, replay: ReportedRun) {
        let manifests = (Comparison.manifest(of: original), Comparison.manifest(of: replay))
        let isGiven = symbols.isGiven || !options.replaySymbols.isEmpty
        let originalFiles = isGiven ? symbols.files : isNeeded ? Comparison.kernel(of: original).map { [$0] } ?? [] : []
        var replayFiles = options.replaySymbols
        if replayFiles.isEmpty {
            replayFiles = isGiven ? symbols.files : isNeeded ? Comparison.kernel(of: replay).map { [$0] } ?? [] : []
        }
        let symbolizer = isNeeded ? try Comparison.symbolizer(symbols, originalFiles, first, isGiven: isGiven) : nil
        let code = symbolizer.map { CodeMap.of($0.modules).code }
        let isOther =
            replayFiles != originalFiles || symbolizer.map { symbols.isPlacedElsewhere($0, in: second) } ?? false
        let other =
            isNeeded && isOther ? try Comparison.symbolizer(symbols, replayFiles, second, isGiven: isGiven) : nil
        return (
            ReportedRun(
                first, symbolizer: symbolizer, symbolFiles: symbolizer == nil ? [] : originalFiles,
                directory: manifests.0 == nil ? nil : original, settings: manifests.0.map(RunSetting.all) ?? [],
                code: code.flatMap { $0.isEmpty ? nil : $0 }),
            ReportedRun(
                second, symbolizer: other ?? symbolizer,
                symbolFiles: other != nil ? replayFiles : symbolizer == nil ? [] : originalFiles,
                directory: manifests.1 == nil ? nil : replay, settings: manifests.1.map(RunSetting.all) ?? [])
        )
    }
}
