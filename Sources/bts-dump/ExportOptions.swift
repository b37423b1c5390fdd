// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogViews
import Symbolize
import ToolSupport

/// `--perfetto`, `--fdo`.
struct ExportOptions: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Print the run as a timeline for ui.perfetto.dev: calls by stack, events, counts of interrupts. An instruction "
                + "is shown as one nanosecond."))
    var perfetto = false

    @Option(
        help: ArgumentHelp(
            "Print a profile of one program, the first file of --user or else of --symbols, for optimisers: bolt for "
                + "perf2bolt --pa of LLVM 20 and later, bolt-branches for older ones, autofdo for create_llvm_prof "
                + "--profiler=text, perfscript for llvm-profgen. Counts are exact; mispredictions are not known.",
            valueName: "bolt|bolt-branches|autofdo|perfscript"))
    var fdo: ProfileFormat?
}

extension ProfileFormat: ExpressibleByArgument {}
