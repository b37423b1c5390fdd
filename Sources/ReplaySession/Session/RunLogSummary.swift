// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory

/// The contents of a log, in numbers.
public struct RunLogSummary: Codable, Sendable, Equatable {
    /// The log's file.
    public var path: String
    /// Its size.
    @StringCoded public var bytes: UInt64
    /// Branch records in the log.
    @StringCoded public var branches: UInt64
    /// Event records in the log.
    @StringCoded public var events: UInt64
    /// Access records in the log.
    @StringCoded public var accesses: UInt64
    /// Records that could not be written.
    @StringCoded public var lost: UInt64
    /// Transitions that the guest made, whether or not they are in the log.
    @StringCoded public var clock: UInt64
    /// Instructions begun; up to the last record where the engine was killed.
    @StringCoded public var instructions: UInt64
    /// The first position that is not compared; nil where it is unknown.
    public var comparableEnd: End?
    /// nil where the log could not be joined with the engine's input log.
    public var join: Join?
    /// The level of QEMU's plugin interface, from the log's header.
    public var pluginAPI: Int?

    /// Whether the clock counts exits into the hypervisor; nil for other logs.
    public var countsExits: Bool?

    /// The first position that is not compared.
    public struct End: Codable, Sendable, Equatable {
        /// In transitions.
        @StringCoded public var clock: UInt64
        /// In instructions.
        @StringCoded public var instructions: UInt64
        /// Why the comparison ends there.
        public var reason: String
    }

    /// The result of the join with the engine's input log.
    public struct Join: Codable, Sendable, Equatable {
        /// Hardware interrupts.
        public var interrupts: Int
        /// Exceptions that end the instruction before.
        public var exceptions: Int
        /// Exceptions that restart their instruction.
        public var faults: Int
        /// `int n` and its kind.
        public var softwareInterrupts: Int
        /// Transitions that the input log does not explain; none in a faithful run.
        public var transitionsWithoutEvent: Int
        /// Interrupts and exceptions of the input log that no transition shows; none in a faithful run.
        public var eventsWithoutTransition: Int
    }
}

extension RunLogSummary {
    /// Exits into the hypervisor, where the clock counts these; nil for other logs.
    var exits: UInt64? { countsExits == true ? clock &+ 1 : nil }

    init(_ log: LogFile) {
        path = log.path
        _bytes = StringCoded(wrappedValue: log.fileSize)
        var counts: [LogStream: UInt64] = [:]
        var clock = log.header.clockBase
        var instructions = log.attributes["recorder.instructions"].flatMap { UInt64($0) } ?? log.header.icountBase
        for chunk in log.chunks {
            // The index holds an elided chunk or its kept body, not both, so no record is counted twice.
            counts[chunk.stream, default: 0] &+= UInt64(chunk.count)
            guard chunk.vcpu == 0 else { continue }
            instructions = max(instructions, chunk.icountLast)
            clock = max(clock, chunk.stream == .branch ? chunk.clockLast &+ 1 : chunk.clockLast)
        }
        _branches = StringCoded(wrappedValue: counts[.branch] ?? 0)
        _events = StringCoded(wrappedValue: counts[.event] ?? 0)
        _accesses = StringCoded(wrappedValue: counts[.access] ?? 0)
        _lost = StringCoded(wrappedValue: log.lostRecords)
        _clock = StringCoded(wrappedValue: clock)
        _instructions = StringCoded(wrappedValue: instructions)
        countsExits = log.header.clock == .synchronousEntries ? true : nil
        let isPlugin = log.header.recorder != .xen && log.header.recorderGeneration != 0
        pluginAPI = isPlugin ? Int(log.header.recorderGeneration) : nil
    }

    /// Whether a run left no record in its log, or no log.
    static func isEmpty(_ files: RunFiles) -> Bool {
        guard files.place.kind(of: RunFiles.logName) == .file, let log = try? LogFile(path: files.log) else {
            return true
        }
        return log.chunks.allSatisfy { $0.stream == .meta }
    }

    /// The differences between a replay's log and the recording's that show without a comparison branch by branch.
    static func differences(of replay: RunLogSummary?, from recording: RunFiles) -> [String] {
        guard let replay, recording.place.kind(of: RunFiles.logName) == .file,
            let log = try? LogFile(path: recording.log)
        else { return [] }
        var list: [String] = []
        if let end = log.comparableEnd(vcpu: 0) {
            if replay.clock < end.clock {
                list.append(
                    "its log ends at branch \(replay.clock), the recording's can be compared up to \(end.clock)")
            } else if let other = replay.comparableEnd,
                // In instructions, where both have them: without branches the clock of the end is an estimate.
                end.icount.map({ other.instructions != $0 }) ?? (other.clock != end.clock)
            {
                list.append("it reached its end at branch \(other.clock), the recording at branch \(end.clock)")
            }
        }
        if let join = replay.join {
            for leftover in join.leftovers {
                guard let recorded = log.attributes[leftover.key].flatMap({ Int($0) }), recorded != leftover.count
                else { continue }
                list.append("\(leftover.count) \(leftover.text), in the recording \(recorded)")
            }
        }
        return list
    }
}

extension RunLogSummary.Join {
    init(_ join: ReplayJoin) {
        var counts: [JoinedCauseKind: Int] = [:]
        for cause in join.causes { counts[cause.kind, default: 0] += 1 }
        interrupts = counts[.interrupt] ?? 0
        exceptions = counts[.exception] ?? 0
        faults = counts[.fault] ?? 0
        softwareInterrupts = counts[.softwareInterrupt] ?? 0
        transitionsWithoutEvent = join.transitionsWithoutEvent
        eventsWithoutTransition = join.eventsWithoutTransition
    }

    /// The log's attributes about the join.
    var attributes: [(String, String)] {
        [
            ("join.interrupts", "\(interrupts)"), ("join.exceptions", "\(exceptions)"), ("join.faults", "\(faults)"),
            ("join.software-interrupts", "\(softwareInterrupts)"),
        ] + leftovers.map { ($0.key, "\($0.count)") }
    }

    /// The leftovers, by the names of the attributes.
    var leftovers: [(key: String, count: Int, text: String)] {
        [
            (
                "join.transitions-without-event", transitionsWithoutEvent,
                "transitions that QEMU's input log does not explain"
            ),
            (
                "join.events-without-transition", eventsWithoutTransition,
                "interrupts and exceptions of QEMU's input log that no transition shows"
            ),
        ]
    }
}

extension RunOutcome.Reason {
    /// The reason in the log.
    var logged: RunEnd {
        switch self {
        case .unknown: .unknown
        case .guestShutdown: .guestShutdown
        case .guestReset: .guestReset
        case .guestPanic: .guestPanic
        case .hostQuit: .hostQuit
        case .hostError: .hostError
        case .inputExhausted: .inputExhausted
        case .hung: .hung
        case .killed: .killed
        case .diverged: .diverged
        }
    }
}
