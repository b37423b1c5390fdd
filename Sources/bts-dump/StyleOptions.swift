// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogViews

/// `--style`, `--lines`.
struct StyleOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "In text, how rows name addresses: plain <foo+0x12>, with the functions inlined there; gdb as its x/i, "
                + "<foo+18>; inline <inner+4 @ foo+18>, the innermost inlined function; perf as perf script prints "
                + "branches.",
            valueName: "plain|gdb|inline|perf"))
    var style = BranchStyle.plain

    @Flag(help: "In text, source lines beside the names.")
    var lines = false

    func validate() throws {
        if lines && style == .perf { throw ValidationError("--lines does not go with --style perf.") }
    }
}
