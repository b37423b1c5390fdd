// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogFormat
import LogViews

/// `--extract`.
struct ExtractOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Print nothing; write the selected branches to FILE as raw BTS records of 24 bytes (from, to, 0).",
            valueName: "file"),
        completion: .file())
    var extract: String?

    @Flag(
        help: "With --extract: begin with a record of ones, and write branch counters instead of the 0.")
    var extended = false

    @Flag(help: "With --extract: replace an existing file.")
    var force = false

    func validate() throws {
        if extract == nil && (extended || force) {
            throw ValidationError("--extended and --force are valid with --extract only.")
        }
    }
}
