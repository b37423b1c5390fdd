// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// The progress lines of a recording or a replay: first over the files that are digested, then over the guest.
public final class RunProgress {
    private let label: String
    private let total: UInt64
    private let isQuiet: Bool
    private var hashingLine: Progress?
    private var runningLine: Progress?

    /// - Parameters:
    ///   - label: the activity of the guest: "recording".
    ///   - total: instructions of the whole run; 0 when that is unknown.
    public init(_ label: String, total: UInt64, isQuiet: Bool) {
        self.label = label
        self.total = total
        self.isQuiet = isQuiet
    }

    /// Shows the progress of digesting files, in bytes.
    public func hash(done: UInt64, total: UInt64) {
        let line = hashingLine ?? Progress("digesting files", unit: "B", total: total, isQuiet: isQuiet)
        hashingLine = line
        line.update(done)
    }

    /// Shows the progress of the guest, in instructions.
    public func run(instructions: UInt64) {
        hashingLine?.finish()
        hashingLine = nil
        let line = runningLine ?? Progress(label, unit: " instructions", total: total, isQuiet: isQuiet)
        runningLine = line
        line.update(instructions)
    }

    /// Removes the line.
    public func finish() {
        hashingLine?.finish()
        runningLine?.finish()
    }
}
