// SPDX-License-Identifier: GPL-2.0-or-later

extension LogFile {
    /// Whether the log is a slice that was cut off before the end of its source: its end is not the end of the run.
    public var isCutShort: Bool { attributes["slice.to"].map { $0 != "end" } ?? false }
}
