// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import ReplaySession
import ToolSupport

extension Place: ExpressibleByArgument {
    /// Reads an argument; nil if the text is no place.
    public init?(argument: String) { self.init(argument) }
}

/// The names of a run's addresses, and the run with which it is compared.
public struct TravelOptions: ParsableArguments {
    /// `--symbols` and its like.
    @OptionGroup(title: "Names") public var symbols: SymbolOptions

    /// `--other`.
    @Option(
        help: ArgumentHelp(
            "The run from which the place `divergence` is the difference. (default for a replay: its recording; for a "
                + "recording: its only replay)", valueName: "run"), completion: .directory)
    public var other: String?

    /// Makes options that are not given.
    public init() {}
}
