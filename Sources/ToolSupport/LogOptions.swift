// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogFormat
import LogViews

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

extension RowFormat: ExpressibleByArgument {}
extension BranchStyle: ExpressibleByArgument {}

extension EventKind: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }

    public static var allValueStrings: [String] { all.map(\.name) }

    public static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}
