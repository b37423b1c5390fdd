// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import Glibc
import LogFormat
import LogViews
import ToolSupport

struct Slice: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "slice",
        abstract: "Write a part of a log to a new log.",
        discussion: """
            The new log has the branches and events of all vCPUs in the range, at their positions, and the attributes of \
            the original; an attribute names the range. It can be compared with the original and with replays of it.

            EXAMPLES
              tt-analyze slice --range 533700000:533800000 run1 part.log
            """)

    @Argument(
        help: ArgumentHelp("A log or a run directory.", valueName: "log"), completion: .file())
    var path: String

    @Argument(help: ArgumentHelp("The log to write.", valueName: "out"), completion: .file())
    var output: String

    @OptionGroup var range: RangeOptions

    @Flag(help: "Replace an existing file.")
    var force = false

    func validate() throws {
        if !range.isGiven {
            throw ValidationError("Give --range FROM:TO or --around VALUE:RADIUS.")
        }
    }

    func run() throws {
        var health = LogHealth(report: Diagnostics.report)
        let log = try health.open(path)
        if !force && access(output, F_OK) == 0 {
            throw RuntimeError("\(output): already exists; --force replaces it")
        }
        try OutputFile.refuse(output, overInputs: [log.path])
        let (from, to) = range.bounds.resolved(in: log.clocks)
        let summary = try slice(log, to: output, replacing: force, from: from, to: to)
        health.add(summary.skipped)
        Diagnostics.note("\(output): \(summary.branches) branches, \(summary.events) events")
        try health.finish()
        if summary.branches == 0 && summary.events == 0 {
            throw RuntimeError("\(log.path): holds nothing in that range")
        }
    }
}
