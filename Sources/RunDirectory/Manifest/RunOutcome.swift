// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// How a run ended, as the manifest keeps it.
public struct RunOutcome: Codable, Sendable, Equatable {
    /// Why the run ended. The names are the log's (enum ttlog_run_end).
    public enum Reason: String, Codable, Sendable {
        /// The engine ended without a reason.
        case unknown
        /// The guest switched itself off.
        case guestShutdown = "guest-shutdown"
        /// The guest asked for a reset.
        case guestReset = "guest-reset"
        /// The guest reported a panic.
        case guestPanic = "guest-panic"
        /// The tool's user, or the operator of the engine, ended the run.
        case hostQuit = "host-quit"
        /// The engine gave up.
        case hostError = "host-error"
        /// The input log ended before the run did.
        case inputExhausted = "input-exhausted"
        /// The run made no progress and the tool ended it.
        case hung
        /// The engine was killed.
        case killed
        /// The engine found that the replay is not its recording.
        case diverged
    }

    /// Why the run ended.
    public var reason: Reason
    /// One sentence for people.
    public var text: String
    /// How the engine's process ended.
    public var process: ProcessEnd
    /// Guest instructions begun: the log's count; without a log, the monitor's last value.
    @StringCoded public var instructions: UInt64
    /// Seconds of the host.
    public var seconds: Double
    /// Whether the tool's user ended the run: by a signal or by a time limit.
    public var wasInterrupted = false
    /// The last lines that the engine and the recorder printed.
    public var messages: [String]
    /// The resets of the machine in their order; nil for none. QEMU records where a reset took place, but not that the
    /// operator asked for it: a replay asks again.
    public var resets: [Reset]?

    /// Who asked for a reset.
    public enum Reset: String, Codable, Sendable {
        /// The guest, or one of its devices.
        case guest
        /// The operator of the engine, in its monitor.
        case `operator`
    }

    /// An outcome.
    public init(
        reason: Reason, text: String, process: ProcessEnd, instructions: UInt64, seconds: Double, messages: [String]
    ) {
        self.reason = reason
        self.text = text
        self.process = process
        self.instructions = instructions
        self.seconds = seconds
        self.messages = messages
    }

    /// Whether the guest, or the user of the tool, ended the run on purpose.
    public var isOrderly: Bool {
        switch reason {
        case .guestShutdown, .guestReset, .guestPanic, .hostQuit: true
        case .unknown, .hostError, .hung, .killed, .inputExhausted, .diverged: false
        }
    }
}

/// How a process ended.
public enum ProcessEnd: Codable, Sendable, Equatable, Hashable, CustomStringConvertible {
    /// By `exit`; -1 where another part of the program took the status.
    case exited(status: Int32)
    /// By a signal.
    case signaled(signal: Int32)

    /// "exit status 3", "signal 9 (Killed)".
    public var description: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .signaled(let signal): "signal \(signal) (\(ProcessEnd.name(of: signal)))"
        }
    }

    /// The C library's name of a signal.
    package static func name(of signal: Int32) -> String { strsignal(signal).map { String(cString: $0) } ?? "unknown" }
}
