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
        abstract: "Write a part of a log as a log of its own.",
        discussion: """
            The new log has the branches and events of all vCPUs in the range, their positions as they were, and the \
            attributes of the original; it says where it was cut from. It can be compared with the original and with \
            replays of it.

            EXAMPLES
              tt-analyze slice --range 533700000:533800000 run1 part.log
            """)

    @Argument(
        help: ArgumentHelp("A log, or a state directory that holds ttd.log.", valueName: "log"), completion: .file())
    var path: String

    @Argument(help: ArgumentHelp("The log that is written.", valueName: "out"), completion: .file())
    var output: String

    @OptionGroup var range: RangeOptions

    @Flag(help: "Write over a file that is there.")
    var force = false

    func validate() throws {
        if range.range == nil && range.around == nil {
            throw ValidationError("Give --range FROM:TO or --around VALUE:RADIUS.")
        }
    }

    func run() throws {
        var health = LogHealth(report: Diagnostics.report)
        let log = try health.open(path)
        if !force && access(output, F_OK) == 0 {
            throw RuntimeError("\(output): is there already; --force writes over it")
        }
        let (from, to) = range.bounds
        let summary = try slice(log, to: output, from: from, to: to)
        health.add(summary.skipped)
        Diagnostics.note("\(output): \(summary.branches) branches, \(summary.events) events")
        try health.finish()
        if summary.branches == 0 && summary.events == 0 {
            throw RuntimeError("\(log.path): holds nothing in that range")
        }
    }
}
