// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

extension QEMUEngine {
    /// How the run ended.
    ///
    /// QEMU's exit status alone does not show it: a guest that ends the run through `isa-debug-exit` chooses the status,
    /// and a QEMU that gives up a replay also exits with 1.
    public func outcome(of result: RunMonitor.Result, plan: RunPlan) -> RunOutcome {
        let messages = Files.tail(plan.files.engineLog).split(separator: "\n").suffix(20).map(String.init)
        return outcome(of: result, kind: plan.kind, messages: messages)
    }

    /// - Parameter messages: the last lines that QEMU and the plugin printed.
    func outcome(of result: RunMonitor.Result, kind: Manifest.RunKind, messages: [String]) -> RunOutcome {
        let (reason, text) = explain(result, kind: kind, messages: messages)
        var outcome = RunOutcome(
            reason: reason, text: text, process: result.process, instructions: result.instructions,
            seconds: result.seconds, messages: messages)
        outcome.resets = result.resets.isEmpty ? nil : result.resets
        switch result.stop {
        case .signal, .timeLimit: outcome.wasInterrupted = true
        case .hung, .silent, .halted, .reachedEnd, nil: break
        }
        return outcome
    }

    private func explain(
        _ result: RunMonitor.Result, kind: Manifest.RunKind, messages: [String]
    ) -> (RunOutcome.Reason, String) {
        if let stop = result.stop { return explain(stop, result) }
        if case .signaled(let signal) = result.process {
            let reason: RunOutcome.Reason = signal == SIGKILL || signal == SIGTERM ? .killed : .hostError
            return (reason, "QEMU was ended by signal \(signal) (\(ProcessEnd.name(of: signal)))")
        }
        if result.guestPanicked { return (.guestPanic, "the guest panicked") }
        if let reason = result.shutdownReason { return explain(shutdown: reason, kind: kind) }
        if let complaint = messages.first(where: QEMUEngine.isComplaint) {
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

    private func explain(_ stop: RunMonitor.Stop, _ result: RunMonitor.Result) -> (RunOutcome.Reason, String) {
        var manner = ""
        if result.wasKilled {
            manner = "; QEMU had to be killed"
        } else if result.wasTerminated {
            manner = "; QEMU had to be terminated"
        }
        if let standstill = result.standstill { manner += standstill.epilogue }
        switch stop {
        case .hung(let icount):
            return (.hung, "the run made no progress after instruction \(icount) and was ended\(manner)")
        case .silent(let seconds):
            return (.hung, "QEMU's monitor did not answer for \(Int(seconds)) s and the run was ended\(manner)")
        case .halted(let ip, let seconds):
            let place = "0x\(String(ip, radix: 16))"
            return (
                .hostQuit,
                "the guest halted permanently at \(place) (interrupts off) and was ended after \(Int(seconds)) s\(manner)"
            )
        case .reachedEnd:
            return (.hostQuit, "the replay reached the end of its recording\(manner)")
        case .signal(let number):
            return (.hostQuit, "ended by signal \(number) (\(ProcessEnd.name(of: number))) to the tool\(manner)")
        case .timeLimit(let seconds):
            return (.hostQuit, "ended after the time limit of \(seconds) s\(manner)")
        }
    }

    private func explain(shutdown reason: String, kind: Manifest.RunKind) -> (RunOutcome.Reason, String) {
        switch reason {
        case "guest-shutdown": (.guestShutdown, "the guest shut down")
        case "guest-reset": (.guestReset, "the guest asked for a reset")
        case "guest-panic": (.guestPanic, "the guest panicked")
        case "host-error": (.hostError, "QEMU gave up with an error")
        case "host-signal", "host-qmp-quit", "host-ui":
            (.hostQuit, kind == .replay ? "the replay reached the end of its recording" : "QEMU was asked to end")
        case "host-qmp-system-reset":
            (.hostQuit, "the operator reset the machine, which ends the run")
        case "subsystem-reset": (.guestReset, "a device of the guest asked for a reset")
        default: (.unknown, "QEMU shut down: \(reason)")
        }
    }

    /// Whether a line that QEMU printed is an error of QEMU.
    static func isComplaint(_ line: String) -> Bool {
        line.hasPrefix("qemu") && !line.contains("warning:") && !line.contains(": info:")
    }
}
