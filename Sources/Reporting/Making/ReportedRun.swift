// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Symbolize

/// One of the two runs that a document is about, with everything that describes it.
public struct ReportedRun {
    /// The run's log.
    public var log: LogFile
    /// Names the run's addresses; nil if there are no symbols.
    public var symbolizer: Symbolizer?
    /// The files from which the symbolizer was made, as their user named them.
    public var symbolFiles: [String]
    /// The run directory, if the user named one.
    public var directory: String?

    /// Describes a run.
    public init(
        _ log: LogFile, symbolizer: Symbolizer? = nil, symbolFiles: [String] = [], directory: String? = nil
    ) {
        self.log = log
        self.symbolizer = symbolizer
        self.symbolFiles = symbolFiles
        self.directory = directory
    }
}
