// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogViews
import Symbolize
import ToolSupport

/// One of the views of bts-dump: its formats, its needs, and how it is made. The table is ``all``.
struct DumpView: Sendable {
    /// The option that chooses it; `nil` for the view without an option.
    var option: String?
    /// The formats of its rows, the first one by default; empty if it prints none.
    var formats: [RowFormat]
    /// The styles that it has in text.
    var styles: [BranchStyle] = [.plain]
    /// Whether it can fold repeated rows in text.
    var folds = false
    /// Why it needs symbols; `nil` if it does not.
    var symbolNeed: String?
    /// Whether it shows names.
    var usesSymbols = true
    /// Whether it looks up many addresses, so that symbol files are read completely.
    var needsWholeSymbols = false
    /// Whether it needs the classes of branches.
    var needsLabels = false
    /// Whether the options choose it.
    var isChosen: @Sendable (BTSDump) -> Bool
    /// Shows the selected branches. Returns the number of rows or branches.
    var show: @Sendable (consuming DumpRun) throws -> UInt64

    /// Checks the options against the view's formats and styles, before any input is read.
    func check(_ options: BTSDump) throws {
        if let format = options.chosenFormat, !formats.contains(format) {
            let name = option ?? "the view of branches"
            throw ValidationError(
                formats.isEmpty
                    ? "\(name) has a format of its own: --format is not valid with it."
                    : "\(name) has no format \(format); it has \(formats.map(\.rawValue).joined(separator: ", ")).")
        }
        let isText = (options.chosenFormat ?? .text) == .text
        if options.text.style != .plain, !isText || !styles.contains(options.text.style) {
            throw ValidationError("--style is valid for branches and, except perf, for --edges, in text.")
        }
        if options.folding.fold == true, !isText || !folds || !options.text.style.canFold {
            throw ValidationError("--fold is valid for branches in text, with --style plain or inline.")
        }
    }

    /// Checks that the inputs have the content that the view needs.
    func check(_ inputs: [ViewInput], _ symbolizer: Symbolizer?) throws {
        if let symbolNeed, symbolizer == nil {
            throw RuntimeError("\(option ?? "") needs --symbols FILE, \(symbolNeed)")
        }
        guard needsLabels, let input = inputs.first(where: { !$0.hasLabels }) else { return }
        throw RuntimeError("\(ViewError.noLabels(path: input.path)), which \(option ?? "the view") needs to find calls")
    }
}

/// The inputs, options and output of a view.
struct DumpRun {
    var options: BTSDump
    var walk: BranchWalk
    var symbolizer: Symbolizer?

    /// The format of the rows.
    var format: RowFormat { options.chosenFormat ?? .text }
    /// Standard output for rows, standard error for the rest.
    var output: ViewOutput { ViewOutput(Output.standard, report: Diagnostics.report) }

    /// Runs over everything with a view, and shows progress. Rows that come out on a terminal show it themselves.
    ///
    /// - Returns: The number of selected branches.
    func run<View: BranchView & ~Copyable>(
        _ view: inout View, isQuiet: Bool = Output.standard.isTerminal
    ) throws -> UInt64 {
        var (walk, progress) = (walk, nil as Progress?)
        defer { progress?.finish() }
        return try walk.run(&view) { done, total in
            let line = progress ?? Progress("reading", unit: "branches", total: total, isQuiet: isQuiet)
            progress = line
            line.update(done)
        }
    }
}
