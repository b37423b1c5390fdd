// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Reporting

/// `--source`, `--source-prefix-map`: where the source files are.
struct SourceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Show the source lines of the function in which the runs part; the source files are in or below DIR. May be "
                + "repeated.",
            valueName: "dir"),
        completion: .directory)
    var source: [String] = []

    @Option(
        help: ArgumentHelp(
            "Look for source files whose names begin with OLD in the directory NEW. May be repeated.",
            valueName: "old=new"))
    var sourcePrefixMap: [String] = []

    func validate() throws {
        for argument in sourcePrefixMap where SourceOptions.prefix(argument) == nil {
            throw ValidationError("--source-prefix-map takes OLD=NEW.")
        }
    }

    /// The source files; nil if no option names any.
    var tree: SourceTree? {
        guard !source.isEmpty || !sourcePrefixMap.isEmpty else { return nil }
        return SourceTree(directories: source, prefixes: sourcePrefixMap.compactMap(SourceOptions.prefix))
    }

    private static func prefix(_ argument: String) -> (old: String, new: String)? {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (String(parts[0]), String(parts[1]))
    }
}
