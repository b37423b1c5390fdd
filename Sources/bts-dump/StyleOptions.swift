// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogViews

/// `--style`, `--lines`.
struct StyleOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "In text, the form of the names: plain <foo+0x12>, with the functions inlined there; gdb <foo+18>, as its "
                + "x/i; inline <inner+4 @ foo+18>, the innermost inlined function; perf, the rows of perf script.",
            valueName: "plain|gdb|inline|perf"))
    var style = BranchStyle.plain

    @Flag(help: "In text, print source lines beside the names.")
    var lines = false

    func validate() throws {
        if lines && style == .perf { throw ValidationError("--lines is not valid with --style perf.") }
    }
}
