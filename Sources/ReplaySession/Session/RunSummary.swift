// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials

/// What a recording or a replay came to: for people (``text``) and for programs (as JSON).
public struct RunSummary: Codable, Sendable, Equatable {
    public enum Verdict: String, Codable, Sendable {
        /// The recording is whole; the replay ended as its recording did.
        case done
        /// The replay visibly went another way.
        case different
        /// There is no whole recording; the replay was broken off.
        case trouble
    }

    public var schemaVersion = 1
    public var kind: Manifest.RunKind
    public var verdict: Verdict
    public var stateDirectory: String
    /// The run's own directory: the state directory, or `replays/NAME` in it.
    public var directory: String
    public var outcome: RunOutcome
    /// nil where no log was asked for.
    public var log: RunLogSummary?
    /// Of replay.bin.
    @StringCoded public var inputLogBytes: UInt64
    /// Why the run or its log is not whole; nil when it is.
    public var trouble: String?
    /// What visibly went differently in a replay.
    public var differences: [String]
    /// What is wrong with what was written, and what was let pass.
    public var warnings: [String]
    /// The command that goes on from here.
    public var next: String
}

/// What stands in a log.
public struct RunLogSummary: Codable, Sendable, Equatable {
    public var path: String
    @StringCoded public var bytes: UInt64
    @StringCoded public var branches: UInt64
    @StringCoded public var events: UInt64
    @StringCoded public var accesses: UInt64
    /// Records that could not be written.
    @StringCoded public var lost: UInt64
    /// Transitions made, whether or not they stand in the log.
    @StringCoded public var clock: UInt64
    /// Instructions begun; up to the last record where QEMU was killed.
    @StringCoded public var instructions: UInt64
    public var comparableEnd: End?
    /// nil where the log could not be joined with QEMU's input log.
    public var join: Join?
    /// The level of QEMU's plugin interface, as the log's header has it.
    public var pluginAPI: Int?

    init(
        path: String, bytes: UInt64, branches: UInt64, events: UInt64, accesses: UInt64, lost: UInt64, clock: UInt64,
        instructions: UInt64
    ) {
        self.path = path
        self.bytes = bytes
        self.branches = branches
        self.events = events
        self.accesses = accesses
        self.lost = lost
        self.clock = clock
        self.instructions = instructions
    }

    /// The first position that is not compared.
    public struct End: Codable, Sendable, Equatable {
        @StringCoded public var clock: UInt64
        @StringCoded public var instructions: UInt64
        public var reason: String
    }

    /// What the join with QEMU's input log explained.
    public struct Join: Codable, Sendable, Equatable {
        public var interrupts: Int
        public var exceptions: Int
        public var faults: Int
        public var softwareInterrupts: Int
        public var transitionsWithoutEvent: Int
        public var eventsWithoutTransition: Int
    }
}

extension RunSummary {
    /// What keeps a log from being whole; nil when nothing does.
    static func trouble(_ log: RunLogSummary?) -> String? {
        guard let log else { return "there is no log" }
        return log.lost == 0 ? nil : "\(log.lost) records could not be written"
    }

    /// A few lines, as the tools print them.
    public var text: String {
        var lines: [String] = []
        let subject = kind == .recording ? "recording" : "replay"
        let place = kind == .recording ? stateDirectory : directory
        lines.append("\(subject) \(place): \(outcome.text)")
        if let trouble { lines.append("  not whole: \(trouble)") }
        for difference in differences { lines.append("  went differently: \(difference)") }
        let rate = outcome.seconds > 0 ? Double(outcome.instructions) / outcome.seconds : 0
        lines.append(
            "  ran \(RunSummary.decimal(outcome.seconds)) s, \(outcome.instructions) instructions"
                + " (\(RunSummary.scaled(rate))/s)")
        if let log {
            let share =
                log.branches > 0
                ? ", \(RunSummary.decimal(Double(log.bytes) / Double(log.branches))) bytes a branch" : ""
            lines.append("  log: \(log.path), \(RunSummary.scaled(Double(log.bytes)))B\(share)")
            let branches = log.branches > 0 ? "\(log.branches) branches" : "\(log.clock) branches (not kept)"
            lines.append("  \(branches), \(log.events) events, \(log.accesses) accesses")
            if let join = log.join {
                lines.append(
                    "  causes: \(join.interrupts) interrupts, \(join.exceptions) exceptions, \(join.faults) faults,"
                        + " \(join.softwareInterrupts) software interrupts;"
                        + " left over: \(join.transitionsWithoutEvent) transitions, \(join.eventsWithoutTransition) events"
                )
            }
            if let end = log.comparableEnd {
                lines.append("  comparable up to branch \(end.clock), instruction \(end.instructions)")
            }
        }
        if kind == .recording { lines.append("  QEMU's input log: \(RunSummary.scaled(Double(inputLogBytes)))B") }
        for warning in warnings { lines.append("  warning: \(warning)") }
        lines.append("next: \(next)")
        return lines.joined(separator: "\n")
    }

    /// One JSON document, without a newline at its end.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// Two decimals.
    private static func decimal(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    /// `12.3 M`.
    private static func scaled(_ value: Double) -> String {
        var value = value
        var prefixes = ["", "k", "M", "G", "T"][...]
        while value >= 1000, prefixes.count > 1 {
            value /= 1000
            prefixes.removeFirst()
        }
        let tenths = Int((value * 10).rounded())
        let prefix = prefixes.first ?? ""
        return prefix.isEmpty ? "\(Int(value)) " : "\(tenths / 10).\(tenths % 10) \(prefix)"
    }
}
