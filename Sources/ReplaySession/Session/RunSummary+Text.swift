// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

extension RunSummary {
    /// A few lines for people. The next step is not in it: who prints the text spells that.
    public var text: String {
        var lines: [String] = []
        let subject = kind == .recording ? "recording" : "replay"
        let place = kind == .recording ? stateDirectory : directory
        lines.append("\(subject) \(place): \(outcome.text)")
        if let trouble { lines.append("  incomplete: \(trouble)") }
        for difference in differences { lines.append("  went differently: \(difference)") }
        let rate = outcome.seconds > 0 ? Double(outcome.instructions) / outcome.seconds : 0
        let counted = outcome.instructions > 0 || log?.exits == nil
        lines.append(
            "  ran \(RunSummary.decimal(outcome.seconds)) s"
                + (counted ? ", \(outcome.instructions) instructions (\(RowText.scaled(rate))/s)" : ""))
        if let log { lines += RunSummary.lines(log) }
        if kind == .recording, log?.exits == nil {
            lines.append("  QEMU's input log: \(RowText.scaled(Double(inputLogBytes)))B")
        }
        for warning in warnings { lines.append("  warning: \(warning)") }
        // Paths, messages and manifests may hold text that steers a terminal.
        return lines.map(\.onOneLine).joined(separator: "\n")
    }

    private static func lines(_ log: RunLogSummary) -> [String] {
        var lines: [String] = []
        let share =
            log.branches > 0 ? ", \(RunSummary.decimal(Double(log.bytes) / Double(log.branches))) bytes a branch" : ""
        lines.append("  log: \(log.path), \(RowText.scaled(Double(log.bytes)))B\(share)")
        if let exits = log.exits {
            let each = exits > 0 ? ", \(RunSummary.decimal(Double(log.bytes) / Double(exits))) bytes an exit" : ""
            return [
                "  log: \(log.path), \(RowText.scaled(Double(log.bytes)))B\(each)",
                "  \(exits) exits, \(log.events) events",
            ]
        }
        let branches = log.branches > 0 ? "\(log.branches) branches" : "\(log.clock) branches (not kept)"
        lines.append("  \(branches), \(log.events) events, \(log.accesses) accesses")
        if let join = log.join {
            lines.append(
                "  causes: \(join.interrupts) interrupts, \(join.exceptions) exceptions, \(join.faults) faults,"
                    + " \(join.softwareInterrupts) software interrupts;"
                    + " left over: \(join.transitionsWithoutEvent) transitions, \(join.eventsWithoutTransition) events")
        }
        if let end = log.comparableEnd {
            lines.append("  comparable up to branch \(end.clock), instruction \(end.instructions)")
        }
        return lines
    }

    /// Two decimals.
    private static func decimal(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
