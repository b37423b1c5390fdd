// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogViews

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
}

extension CountOrder: ExpressibleByArgument {}
