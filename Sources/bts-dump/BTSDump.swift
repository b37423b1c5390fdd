// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import Glibc
import LogFormat
import LogViews
import ToolSupport

@main
struct BTSDump: ParsableCommand {
    static func main() { ToolMain.run(BTSDump.self) }

    static let configuration = CommandConfiguration(
        commandName: "bts-dump",
        abstract: "Print the branches of trace logs and raw BTS files.",
        discussion: """
            One branch a row: its counter, from and to with full addresses, the class of the instruction at from, the \
            instruction count. With ! behind the class the instruction's own target explains the branch; with * \
            behind the row no branch instruction explains it: an interrupt, an exception or a fault.

            Raw files of 24-byte records (from, to, flags; or with a first record of ones and the branch counter in the \
            place of the flags) serve as well; --symbols tells the classes of their branches. Several inputs are shown \
            one after the other.

            A branch comes to a PLACE when it goes there, or when the place lies in the straight run of instructions that \
            it ends.

            A log may have parts that are damaged or that its recorder left out (mode digest). They are passed over, \
            said on standard error and counted.

            EXAMPLES
              bts-dump --symbols vmlinux --around 533717582:50 run1
              bts-dump --symbols vmlinux --symbols init@0x555555554000 --format csv run1
              bts-dump --symbols vmlinux --calls --depth 20 --range 533000000: run1
              bts-dump --symbols vmlinux --folded run1 | flamegraph.pl > run1.svg
              bts-dump --symbols vmlinux --calls --from do_sys_openat2:533000000 --to fd_install run1
              bts-dump --symbols vmlinux --function handle_mm_fault --kind ret run1
              bts-dump --extract part.bts --extended --around 533717582:1000 run1
              bts-dump --edges run1 | head
              bts-dump --symbols vmlinux --coverage run1 > run1.info && genhtml run1.info

            EXIT STATUS
              0 printed
              2 trouble: an input cannot be read, is damaged, or holds no branches
            """,
        version: ToolVersion.current)

    @Argument(
        help: ArgumentHelp(
            "Logs, state directories that hold ttd.log, or raw BTS files.", valueName: "log"),
        completion: .file())
    var paths: [String]

    @OptionGroup var symbols: SymbolOptions
    @OptionGroup var range: RangeOptions
    @OptionGroup var selection: SelectionOptions
    @OptionGroup var calls: CallOptions
    @OptionGroup var counts: CountOptions

    @OptionGroup var text: StyleOptions

    @Flag(help: "Print the instructions between the branches, from the code of the --symbols files (not as csv).")
    var instructions = false

    @OptionGroup var instructionOptions: InstructionOptions

    @OptionGroup var extraction: ExtractOptions

    @Option(
        name: .customLong("format"),
        help: "How rows are printed; jsonl and csv keep their fields from version to version. (default: text)")
    var chosenFormat: RowFormat?

    var format: RowFormat { chosenFormat ?? .text }

    func run() throws {
        var walk = try BranchWalk(paths: paths, report: Diagnostics.report)
        walk.bounds = range.bounds
        // Made once, for the first log: all inputs are of one machine. The walk says which of the others it does not fit.
        // Rows name one address after the other, and may be few; calls have the names of symbols.
        let namesMany = instructions || counts.isChosen
        let symbolizer = try symbols.symbolizer(
            for: walk.log, from: range.bounds.from, to: range.bounds.to, reading: namesMany ? .whole : .onDemand())
        defer { SymbolOptions.finish(symbolizer) }
        if let symbolizer { try walk.use(symbolizer) }
        try checkView(walk.views)
        try selection.apply(to: &walk, symbolizer)
        if let path = extraction.extract {
            // A limit on the size of files is an error like a full disk.
            signal(SIGXFSZ, SIG_IGN)
            let form: RawBTSFile.Form = extraction.extended ? .extended : .plain
            let writer = try RawBTSWriter(path: path, form: form, replaces: extraction.force)
            return try show(walk, BranchExtract(writer, report: Diagnostics.report), isQuiet: false)
        }
        if instructions {
            guard let symbolizer else {
                throw RuntimeError("--instructions needs --symbols FILE, whose code it disassembles")
            }
            // The instructions of a function, and not those that led to it.
            walk.selection.functions = nil
            try show(
                walk,
                InstructionDump(
                    symbolizer, to: output, machine: walk.machine, isJSON: format == .jsonl, lines: text.lines,
                    syntax: instructionOptions.syntax, functions: try selection.functionRanges(symbolizer)))
        } else if calls.calls {
            try show(walk, CallTreeDump(to: output, format: format, symbolizer: symbolizer, depthLimit: calls.depth))
        } else if counts.isChosen {
            try showCounts(walk, symbolizer)
        } else if calls.folded {
            let hasIcount = walk.views.allSatisfy(\.hasIcount)
            try show(walk, FoldedDump(to: output, format: format, symbolizer: symbolizer, hasIcount: hasIcount))
        } else {
            try show(
                walk,
                BranchRows(
                    to: Output.standard, format: format, symbolizer: symbolizer, style: text.style, lines: text.lines))
        }
    }

    func validate() throws {
        let views = [
            ("--calls", calls.calls), ("--folded", calls.folded), ("--instructions", instructions),
            ("--edges", counts.edges), ("--coverage", counts.coverage), ("--extract", extraction.extract != nil),
        ].filter(\.1).map(\.0)
        if views.count > 1 { throw ValidationError("\(views.joined(separator: " and ")) exclude each other.") }
        let hasStyles = format == .text && (views.isEmpty || (counts.edges && text.style != .perf))
        if text.style != .plain && !hasStyles {
            throw ValidationError("--style goes with branches and, but for perf, with --edges, in text.")
        }
    }

    /// Standard output for rows, standard error for the rest.
    var output: ViewOutput { ViewOutput(Output.standard, report: Diagnostics.report) }

    /// Runs over everything with a view, and shows progress. Rows that come out on a terminal show it themselves.
    func show<View: BranchView & ~Copyable>(
        _ walk: BranchWalk, _ view: consuming View, isQuiet: Bool = Output.standard.isTerminal
    ) throws {
        var (walk, progress) = (walk, nil as Progress?)
        defer { progress?.finish() }
        try walk.run(&view) { done, total in
            let line = progress ?? Progress("reading", unit: "branches", total: total, isQuiet: isQuiet)
            progress = line
            line.update(done)
        }
    }

    /// Whether the view can be made of these inputs.
    private func checkView(_ inputs: [ViewInput]) throws {
        if instructions, format == .csv { throw RuntimeError("--instructions has no format csv") }
        guard calls.calls || calls.folded else { return }
        guard format != .csv else { throw RuntimeError("--calls and --folded have no format csv") }
        for input in inputs where !input.hasLabels {
            throw RuntimeError("\(input.path): has no classes of branches, which calls are told by")
        }
    }
}
