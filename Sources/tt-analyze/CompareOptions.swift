// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import ArgumentParser
import Reporting
import ToolSupport

/// The options of commands that compare runs.
struct CompareOptions: ParsableArguments {
    @OptionGroup var symbols: SymbolOptions

    @Option(
        name: .customLong("replay-symbols"),
        help: ArgumentHelp(
            "Take the replay's symbols from this file, if the replay ran another binary; may be repeated.",
            valueName: "file[@address|+slide][,from:to]"),
        completion: .file())
    var replaySymbols: [String] = []

    @Option(
        help: ArgumentHelp(
            "Number of branches and events to show on each side. (default: 8; in a report as HTML or JSON: 500)",
            valueName: "n"))
    var context: Int?

    @Option(
        help: ArgumentHelp(
            "The largest number of branches before the divergence from which the call stack is rebuilt. More finds "
                + "calls that began earlier, and takes longer.",
            valueName: "branches"))
    var stackReach = AlignmentOptions().stackReach

    @OptionGroup var sources: SourceOptions

    @Flag(help: "Decode everything. Use digests only for bodies that cannot be read.")
    var noDigests = false

    @Flag(help: "Refuse logs that belong to different or unknown recordings.")
    var sameRecording = false

    @Option(
        help: ArgumentHelp(
            "Ignore differences of the path in this function, or at these addresses: both sides are followed to its "
                + "return and compared from there. May be repeated.",
            valueName: "function|from:to"))
    var ignore: [String] = []

    @Option(
        help: ArgumentHelp(
            "Add the benign differences that this JSON file describes (docs/divergence.md).", valueName: "file"),
        completion: .file())
    var rules: String?

    @Flag(help: "Report all differences: use no rules about benign ones.")
    var strict = false

    func validate() throws {
        guard (0...CompareOptions.contextLimit).contains(context ?? 0) else {
            throw ValidationError("--context takes 0 to \(CompareOptions.contextLimit).")
        }
        guard !strict || rules == nil else { throw ValidationError("--strict and --rules exclude each other.") }
    }

    /// The largest number of branches and events that a report shows on each side.
    private static let contextLimit = 20_000

    /// The options of the comparison, without the code to ignore: its names need symbols.
    ///
    /// - Parameter context: branches and events on each side, if no option says it.
    func alignmentOptions(context standard: Int = 8) throws -> AlignmentOptions {
        var options = AlignmentOptions()
        options.useDigests = !noDigests
        options.contextCount = context ?? standard
        options.stackReach = stackReach
        options.requireSameRecording = sameRecording
        options.rules = try benignRules()
        return options
    }

    /// The rules about benign differences: the standard ones and those of the file.
    private func benignRules() throws -> [BenignRule] {
        if strict { return [] }
        return BenignRule.standard + (try rules.map(DivergeInputs.rules) ?? [])
    }
}
