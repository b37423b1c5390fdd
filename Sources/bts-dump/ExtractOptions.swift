// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogFormat
import LogViews

/// `--extract`.
struct ExtractOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Print nothing; write what is selected to FILE as raw BTS records of 24 bytes (from, to, 0).",
            valueName: "file"),
        completion: .file())
    var extract: String?

    @Flag(
        help: "With --extract: begin with a record of ones, and give each record its branch counter instead of the 0.")
    var extended = false

    @Flag(help: "With --extract: write over a file that is there.")
    var force = false

    func validate() throws {
        if extract == nil && (extended || force) { throw ValidationError("--extended and --force go with --extract.") }
    }
}
