// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// How a run ended, as the manifest keeps it.
public struct RunOutcome: Codable, Sendable, Equatable {
    /// Why the run ended. The names are the log's (enum ttlog_run_end).
    public enum Reason: String, Codable, Sendable {
        case unknown
        case guestShutdown = "guest-shutdown"
        case guestReset = "guest-reset"
        case guestPanic = "guest-panic"
        case hostQuit = "host-quit"
        case hostError = "host-error"
        case inputExhausted = "input-exhausted"
        case hung
        case killed
    }

    public var reason: Reason
    /// A sentence for people.
    public var text: String
    /// How QEMU's process ended.
    public var process: ProcessEnd
    /// Guest instructions begun: the log's count, or without a log what the monitor saw last.
    @StringCoded public var instructions: UInt64
    /// Of the host.
    public var seconds: Double
    /// Whether the tool's user ended the run: by a signal or by a time limit.
    public var wasInterrupted = false
    /// What QEMU and the plugin printed: the last lines.
    public var messages: [String]

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
}

extension RunOutcome {
    /// Puts together what the monitor saw, what QEMU's process left and what QEMU said.
    ///
    /// QEMU's exit status alone says nothing: a guest that ends the run through `isa-debug-exit` chooses it, and a
    /// QEMU that gives a replay up exits with 1 as well.
    init(
        _ result: RunMonitor.Result, guest: GuestConfiguration, direction: QEMUCommandLine.Direction, messages: [String]
    ) {
        let (reason, text) = RunOutcome.explain(result, guest: guest, direction: direction, messages: messages)
        self.init(
            reason: reason, text: text, process: result.process, instructions: result.instructions,
            seconds: result.seconds, messages: messages)
        switch result.stop {
        case .signal, .timeLimit: wasInterrupted = true
        case .hung, .silent, nil: break
        }
    }

    private static func explain(
        _ result: RunMonitor.Result, guest: GuestConfiguration, direction: QEMUCommandLine.Direction, messages: [String]
    ) -> (Reason, String) {
        var manner = ""
        if result.wasKilled {
            manner = "; QEMU had to be killed"
        } else if result.wasTerminated {
            manner = "; QEMU had to be terminated"
        }
        if let standstill = result.standstill { manner += standstill.epilogue }
        switch result.stop {
        case .hung(let icount):
            return (.hung, "the run stood still at instruction \(icount) and was ended\(manner)")
        case .silent(let seconds):
            return (.hung, "QEMU's monitor did not answer for \(Int(seconds)) s and the run was ended\(manner)")
        case .signal(let number):
            return (.hostQuit, "ended by signal \(number) (\(RunOutcome.signalName(number))) to the tool\(manner)")
        case .timeLimit(let seconds):
            return (.hostQuit, "ended after the time limit of \(seconds) s\(manner)")
        case nil: break
        }
        if case .signaled(let signal) = result.process {
            let reason: Reason = signal == SIGKILL || signal == SIGTERM ? .killed : .hostError
            return (reason, "QEMU was ended by signal \(signal) (\(RunOutcome.signalName(signal)))")
        }
        if result.guestPanicked { return (.guestPanic, "the guest panicked") }
        switch result.shutdownReason {
        case "guest-shutdown": return (.guestShutdown, "the guest shut down")
        case "guest-reset": return (.guestReset, "the guest asked for a reset")
        case "guest-panic": return (.guestPanic, "the guest panicked")
        case "host-error": return (.hostError, "QEMU gave up with an error")
        case "host-signal", "host-qmp-quit":
            let isReplay = direction == .replay
            return (.hostQuit, isReplay ? "it came to where its recording was ended" : "QEMU was told to end")
        case .some(let other): return (.unknown, "QEMU shut down: \(other)")
        case nil: break
        }
        if let complaint = messages.first(where: RunOutcome.isComplaint) {
            if complaint.contains("error reading the replay data") {
                return (.inputExhausted, "QEMU could not read on in its input log: \(complaint)")
            }
            return (.hostError, "QEMU gave up: \(complaint)")
        }
        if case .exited(let status) = result.process, status & 1 == 1,
            (guest.devices + guest.extraArguments).contains(where: { $0.hasPrefix("isa-debug-exit") })
        {
            return (.guestShutdown, "the guest wrote \(status >> 1) to isa-debug-exit")
        }
        return (.unknown, "QEMU ended with \(result.process) and gave no reason")
    }

    /// Whether a line that QEMU printed is an error of its own.
    static func isComplaint(_ line: String) -> Bool {
        line.hasPrefix("qemu") && !line.contains("warning:") && !line.contains(": info:")
    }

    private static func signalName(_ number: Int32) -> String { String(cString: strsignal(number)) }
}
