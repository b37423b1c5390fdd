// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import BugBundle
import ToolSupport

/// The command line that `open` makes of a subcommand: with the paths of the bundle's runs and pieces of symbol files.
struct BundleCommand {
    /// The words, beginning with the subcommand or the other tool.
    private(set) var words: [String]
    /// Whether the first word is another tool than this one.
    let isOtherTool: Bool
    /// What the user should know about runs that the words did not name.
    private(set) var note: String?

    /// The runs that a subcommand takes if none is named, and whether it takes symbols.
    private static let known: [String: (runs: [Side], takesSymbols: Bool)] = [
        "diverge": ([.original, .replay], true), "report": ([.original, .replay], true),
        "sql": ([.original, .replay], true), "info": ([.original], false), "events": ([.original], true),
        "verify": ([.original], false), "slice": ([.original], false), "index": ([.original], true),
        "symbolize": ([], true), "bts-dump": ([.original], true),
    ]

    init(_ bundle: OpenedBundle, _ command: [String]) throws {
        let name = command.first ?? ""
        guard let known = BundleCommand.known[name] else {
            let names = BundleCommand.known.keys.sorted().joined(separator: ", ")
            throw RuntimeError("\(name) does not work on a bundle; these do: \(names)")
        }
        isOtherTool = name == "bts-dump"
        var rest = Array(command.dropFirst())
        // A word after an option that takes a value is not looked at: no option takes the name of a run.
        var named: Set<Side> = []
        for index in rest.indices {
            guard let side = BundleCommand.side(rest[index]) else { continue }
            named.insert(side)
            rest[index] = bundle.path(side)
        }
        var runs: [String] = []
        let asksForHelp = rest.contains("--help") || rest.contains("-h")
        if named.isEmpty, !asksForHelp {
            runs = known.runs.map(bundle.path)
            if known.runs == [.original] {
                note = "of the original; '\(name) replay' shows the replay"
            }
            named = Set(known.runs)
        }
        let hasSymbols = rest.contains { $0 == "--symbols" || $0.hasPrefix("--symbols=") }
        var symbols: [String] = []
        if known.takesSymbols, !hasSymbols, !asksForHelp {
            let first = named == [.replay] ? Side.replay : .original
            symbols = bundle.symbolFiles(first).flatMap { ["--symbols", $0] }
            if ["diverge", "report"].contains(name), bundle.symbolFiles(.replay) != bundle.symbolFiles(.original) {
                symbols += bundle.symbolFiles(.replay).flatMap { ["--replay-symbols", $0] }
            }
        }
        words = [name] + symbols + runs + rest
    }

    /// The run that a word names.
    private static func side(_ word: String) -> Side? { word == "orig" ? .original : Side(rawValue: word) }
}
