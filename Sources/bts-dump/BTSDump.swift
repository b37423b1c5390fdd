// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogViews
import Symbolize
import ToolSupport

@main
struct BTSDump: ParsableCommand {
    static func main() { ToolMain.run(BTSDump.self) }

    static let configuration = CommandConfiguration(
        commandName: "bts-dump",
        abstract: "Print the branches of trace logs and raw BTS files.",
        discussion: """
            Prints one branch a row: its counter, from and to with full addresses, the class of the instruction at from, \
            the instruction count. ! after the class: the instruction's own target explains the branch. * after the row: \
            no branch instruction explains it; it is an interrupt, an exception or a fault.

            Inputs may also be raw files of 24-byte records: from, to, flags; or, after a first record of ones, from, to, \
            branch counter. --symbols gives their branches classes. Several inputs follow one another.

            Without --symbols, addresses are named after the kernel in the run's manifest, if that file has not changed.

            A branch reaches a PLACE if it goes there, or if the place is in the straight run of instructions that it \
            ends.

            Parts of a log that are damaged, or that its recorder left out (mode digest), are skipped, reported on \
            standard error and counted.

            EXAMPLES
              bts-dump --symbols vmlinux --around 533717582:50 run1
              bts-dump --range 90%: run1
              bts-dump --symbols vmlinux --lines --to panic --before 20 run1
              bts-dump --symbols vmlinux --symbols init@0x555555554000 --format csv run1
              bts-dump --symbols vmlinux --calls --depth 20 --range 533000000: run1
              bts-dump --symbols vmlinux --folded run1 | flamegraph.pl > run1.svg
              bts-dump --symbols vmlinux --calls --from do_sys_openat2:533000000 --to fd_install run1
              bts-dump --symbols vmlinux --function handle_mm_fault --kind ret run1
              bts-dump --extract part.bts --extended --around 533717582:1000 run1
              bts-dump --edges run1 | head
              bts-dump --symbols vmlinux --perfetto --range 90%: run1 > run1.json
              bts-dump --user httpd --fdo bolt run1 > httpd.preagg
              bts-dump --symbols vmlinux --coverage run1 > run1.info && genhtml run1.info

            EXIT STATUS
              0 done
              1 with --function: the function never ran
              2 trouble: an input cannot be read, is damaged, or holds no branches
            """,
        version: ToolVersion.current)

    @Argument(
        help: ArgumentHelp(
            "Logs, run directories, or raw BTS files.", valueName: "log"),
        completion: .file())
    var paths: [String]

    @OptionGroup var symbols: SymbolOptions
    @OptionGroup var range: RangeOptions
    @OptionGroup var selection: SelectionOptions
    @OptionGroup var calls: CallOptions
    @OptionGroup var counts: CountOptions
    @OptionGroup var exports: ExportOptions

    @OptionGroup var text: StyleOptions

    @OptionGroup var folding: FoldOptions

    @Flag(help: "Print the instructions between the branches, from the code of the --symbols files (not as csv).")
    var instructions = false

    @OptionGroup var instructionOptions: InstructionOptions

    @OptionGroup var extraction: ExtractOptions

    @Option(
        name: .customLong("format"),
        help: "Format of the rows. The fields of jsonl and csv are stable. (default: text)")
    var chosenFormat: RowFormat?

    func validate() throws {
        let chosen = DumpView.all.filter { $0.isChosen(self) }
        if chosen.count > 1 {
            throw ValidationError("\(chosen.compactMap(\.option).joined(separator: " and ")) exclude each other.")
        }
        try view.check(self)
        if calls.depth != nil, !calls.calls, !exports.perfetto {
            throw ValidationError("--depth is valid with --calls and --perfetto only.")
        }
    }

    /// The view that the options choose.
    var view: DumpView { DumpView.all.first { $0.isChosen(self) } ?? .branches }

    func run() throws {
        var walk = try BranchWalk(paths: paths, report: Diagnostics.report)
        walk.bounds = range.bounds
        // Made once, for the first log: all inputs are of one machine. The walk reports inputs to which it does not
        // belong.
        let symbolizer = try symbolizer(for: walk)
        defer { SymbolOptions.finish(symbolizer) }
        if let symbolizer { try walk.use(symbolizer) }
        try view.check(walk.views, symbolizer)
        try selection.apply(to: &walk, symbolizer)
        let shown = try view.show(DumpRun(options: self, walk: walk, symbolizer: symbolizer))
        if shown == 0, !selection.functions.isEmpty {
            Diagnostics.note("\(selection.functions.joined(separator: ", ")): never ran in the selected part")
            throw ToolStatus.different
        }
    }

    /// The names of addresses: from the files of the options, otherwise from the kernel of the run's manifest.
    private func symbolizer(for walk: BranchWalk) throws -> Symbolizer? {
        guard view.usesSymbols else { return nil }
        let clocks = walk.log?.clocks ?? 0..<0
        let (from, to) = range.bounds.resolved(in: clocks)
        return try symbols.symbolizer(
            for: walk.log, orKernelOf: paths, from: from, to: to, reading: view.needsWholeSymbols ? .whole : .onDemand()
        )
    }
}
