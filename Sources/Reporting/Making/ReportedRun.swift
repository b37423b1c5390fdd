// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
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
    /// How the run was set up, if known.
    public var settings: [RunSetting]
    /// The run's code, if it is at hand.
    public var code: CodeMap?

    /// Describes a run.
    public init(
        _ log: LogFile, symbolizer: Symbolizer? = nil, symbolFiles: [String] = [], directory: String? = nil,
        settings: [RunSetting] = [], code: CodeMap? = nil
    ) {
        self.log = log
        self.symbolizer = symbolizer
        self.symbolFiles = symbolFiles
        self.directory = directory
        self.settings = settings
        self.code = code
    }

    /// A setting by its name; nil if the run has none.
    func setting(_ name: String) -> RunSetting? { settings.first { $0.name == name } }
}

/// One setting of a run that can change what the guest does: a kernel, a command line, an amount of memory.
public struct RunSetting: Hashable, Sendable {
    /// The setting's name: `kernel`, `memory`, …
    public var name: String
    /// The value, for people.
    public var value: String
    /// Decides whether two settings are equal: the value, or the digest of a file.
    public var identity: String

    /// Makes a setting.
    ///
    /// - Parameter identity: decides about equality; nil for the value.
    public init(_ name: String, _ value: String, identity: String? = nil) {
        self.name = name
        self.value = value
        self.identity = identity ?? value
    }
}
