// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogFormat
import Symbolize
import ToolSupport

/// `--symbols`.
public struct SymbolOptions: ParsableArguments {
    @Option(
        name: .customLong("symbols"),
        help: ArgumentHelp(
            "Name addresses after this ELF file (a kernel's vmlinux, a program built with -g); may be repeated, the "
                + "first file that knows an address wins. FILE@ADDRESS: its lowest segment was loaded there. FILE+SLIDE: "
                + "it ran that much higher than it was linked. FILE,FROM:TO: it answers only for these addresses. "
                + "Separate debug files, System.map and /proc/kallsyms serve too.",
            valueName: "file[@address|+slide][,from:to]"),
        completion: .file())
    public var files: [String] = []

    @Flag(
        help: "Read symbol files anew instead of keeping their tables in $XDG_CACHE_HOME/tt-analyze/symbols.")
    public var noCache = false

    public init() {}

    /// Reads the files; `nil` when there are none. What is wrong with a file that serves all the same is said on
    /// stderr.
    ///
    /// - Parameter machine: the guest's processor (``FileHeader/machine``); any when `nil`.
    public func symbolizer(machine: UInt16?) throws -> Symbolizer? {
        try symbolizer(files, machine: machine)
    }

    /// The same for other files than those of the option.
    public func symbolizer(_ files: [String], machine: UInt16?) throws -> Symbolizer? {
        guard !files.isEmpty else { return nil }
        let symbolizer = Symbolizer(cache: noCache ? .off : .standard)
        for file in files {
            let module = try symbolizer.add(try SymbolFile(argument: file), machine: machine)
            for warning in module.warnings { Diagnostics.warning(warning.description) }
        }
        return symbolizer
    }
}

/// `--range` and `--around`.
public struct RangeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Only positions FROM up to but not including TO, as branch counters; either may be left out.",
            valueName: "from:to"))
    public var range: RangeArgument?

    @Option(
        help: ArgumentHelp("Only positions at most RADIUS (20) away from VALUE.", valueName: "value[:radius]"))
    public var around: WindowArgument?

    public init() {}

    public func validate() throws {
        if range != nil && around != nil { throw ValidationError("--range and --around exclude each other.") }
    }

    /// The first position, and the one behind the last (`UInt64.max`: no end).
    public var bounds: (from: UInt64, to: UInt64) {
        if let range { return (range.from, range.to) }
        if let around { return (around.from, around.to) }
        return (0, .max)
    }
}

/// `--format` of commands that print rows.
public enum RowFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text, jsonl, csv
}

extension EventKind: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }

    public static var allValueStrings: [String] { all.map(\.name) }

    public static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}
