// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser

/// `--fold`, `--no-fold`.
public struct FoldOptions: ParsableArguments {
    /// The choice of the user; `nil` if there is none.
    @Flag(
        inversion: .prefixedNo,
        help: ArgumentHelp(
            "In text, print rows that repeat, such as those of a loop, once, with the number of times: ×20, or ×20 (3 "
                + "rows) after the last of 3 rows. Options that select or count do so before. (default: on a terminal)")
    )
    public var fold: Bool?

    /// Makes options that are not given.
    public init() {}

    /// Whether repeated rows are folded in text: by default if standard output is a terminal, so that programs that read
    /// rows get each.
    public var isOn: Bool { fold ?? Output.standard.isTerminal }
}
