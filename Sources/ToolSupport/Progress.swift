// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
@preconcurrency import Glibc
import RunDirectory

/// A progress line for work that takes over a second: a bar, the rate, the time left.
///
/// It appears only if standard error is a terminal with control sequences, and only after the first second.
///
///     let progress = Progress("verifying", unit: "B", total: file.size)
///     progress.update(done)
///     progress.finish()
public final class Progress: @unchecked Sendable {
    private let label: String
    private let unit: String
    private let total: Double
    private let start: Double
    private var nextDraw: Double
    private let isShown: Bool

    /// - Parameters:
    ///   - label: The step, before the bar.
    ///   - unit: The unit of the count, as it is printed after the rate ("branches", "B").
    ///   - total: 0 if it is not known: then there is no bar and no time left.
    public init(_ label: String, unit: String, total: UInt64, isQuiet: Bool = false) {
        self.label = label
        self.unit = unit
        self.total = Double(total)
        start = Clock.now()
        nextDraw = start + 1
        isShown = !isQuiet && isatty(STDERR_FILENO) == 1 && Terminal.hasControls
    }

    /// Draws the line if it is time.
    ///
    /// - Parameter done: Units since the start, not since the last call.
    public func update(_ done: UInt64) {
        guard isShown else { return }
        let now = Clock.now()
        guard now >= nextDraw else { return }
        nextDraw = now + 0.2
        draw(Double(done), now)
    }

    /// Draws the line if it is time; `fraction` is the share that is done, 0 ... 1.
    public func update(fraction: Double) {
        update(UInt64(max(0, min(1, fraction)) * max(total, 0)))
    }

    /// Removes the line.
    public func finish() { Progress.clearLine() }

    private func draw(_ done: Double, _ now: Double) {
        let rate = done / max(now - start, 0.001)
        var line = "\r\u{1B}[K\(label) "
        if total > 0 {
            let share = min(1, done / total)
            let filled = Int(share * 24)
            line += "[" + String(repeating: "=", count: filled) + String(repeating: " ", count: 24 - filled) + "] "
            line += "\(Int(share * 100)) % "
        } else {
            line += "\(RowText.scaled(done))\(unit) "
        }
        line += "\(RowText.scaled(rate))\(unit)/s"
        if total > 0, rate > 0 {
            line += ", \(Int((max(0, total - done) / rate).rounded(.up))) s left"
        }
        Progress.lineIsDrawn = true
        line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    // Drawn and cleared by the thread that runs the command.
    nonisolated(unsafe) private static var lineIsDrawn = false

    static func clearLine() {
        guard lineIsDrawn else { return }
        lineIsDrawn = false
        _ = write(STDERR_FILENO, "\r\u{1B}[K", 4)
    }
}
