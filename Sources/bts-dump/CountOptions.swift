// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogViews
import Symbolize
import ToolSupport

/// `--edges`, `--coverage`, `--sort`.
struct CountOptions: ParsableArguments {
    @Flag(help: "Print the distinct branches and how often each was taken; all vCPUs and inputs together.")
    var edges = false

    @Flag(
        help: ArgumentHelp(
            "Print which functions and lines of the --symbols files were reached and how often, as an lcov tracefile for "
                + "genhtml; with --format as rows, in text a table of functions."))
    var coverage = false

    @Option(
        help: ArgumentHelp(
            "With --edges and --coverage: the highest count first, or by address (by file and line).",
            valueName: "count|address"))
    var sort = CountOrder.count

    var isChosen: Bool { edges || coverage }
}

extension BTSDump {
    /// `--edges` and `--coverage`.
    func showCounts(_ walk: BranchWalk, _ symbolizer: Symbolizer?) throws {
        guard counts.coverage else {
            return try show(
                walk,
                EdgeDump(
                    to: output.sink, format: format, symbolizer: symbolizer, style: text.style, lines: text.lines,
                    order: counts.sort))
        }
        guard let symbolizer else {
            throw RuntimeError("--coverage needs --symbols FILE, whose functions and lines it counts")
        }
        try show(
            walk,
            CoverageDump(
                symbolizer, to: output, machine: walk.machine, form: chosenFormat.map { .rows($0) } ?? .lcov,
                order: counts.sort))
    }
}

extension CountOrder: ExpressibleByArgument {}
