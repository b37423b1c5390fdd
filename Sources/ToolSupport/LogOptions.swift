// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogFormat
import LogViews

/// `--range` and `--around`.
public struct RangeOptions: ParsableArguments {
    /// `--range`.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Only positions FROM up to but not including TO; either may be left out. A bound is a branch counter "
                + "(1,179,553), a share of the log (90%), or a distance from its end (-20).",
            valueName: "from:to"))
    public var range: RangeArgument?

    /// `--around`.
    @Option(
        help: ArgumentHelp("Only positions at most RADIUS (20) away from VALUE.", valueName: "value[:radius]"))
    public var around: WindowArgument?

    /// Makes options that are not given.
    public init() {}

    /// Checks that the options go together.
    public func validate() throws {
        if range != nil && around != nil { throw ValidationError("--range and --around exclude each other.") }
    }

    /// The part of the log that the options name.
    public var bounds: ClockBounds {
        if let range { return range.bounds }
        if let around { return ClockBounds(from: .at(around.from), to: around.to == .max ? nil : .at(around.to)) }
        return ClockBounds()
    }

    /// Whether any of the options is given.
    public var isGiven: Bool { range != nil || around != nil }
}

extension RowFormat: ExpressibleByArgument {}
extension BranchStyle: ExpressibleByArgument {}

extension EventKind: ExpressibleByArgument {
    /// Reads an argument; `nil` if the text is none.
    public init?(argument: String) { self.init(name: argument) }

    /// All arguments.
    public static var allValueStrings: [String] { all.map(\.name) }

    /// The words that a shell offers.
    public static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}
