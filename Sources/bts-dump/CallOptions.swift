// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser

/// `--calls`, `--folded`.
struct CallOptions: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Print the tree of calls, with interrupts and system calls (not as csv)."))
    var calls = false

    @Flag(
        help: ArgumentHelp(
            "Print each stack of calls and the instructions spent in it, for flamegraph.pl (not as csv). Without "
                + "instruction counts in the log, branches are counted."))
    var folded = false

    @Option(help: ArgumentHelp("With --calls and --perfetto: leave out calls inside N open calls.", valueName: "n"))
    var depth: Int?

    func validate() throws {
        if let depth, depth < 1 { throw ValidationError("--depth must be at least 1.") }
    }
}
