// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// What is seen of a run while it goes on.
public struct RunStatus: Sendable {
    /// Guest instructions.
    public var instructions: UInt64
    /// Since QEMU was started.
    public var seconds: Double
    /// Whether the run is being ended.
    public var isEnding: Bool
}

/// Watches one QEMU until it has ended.
final class RunMonitor {
    /// Why we ended it; nil when it ended by itself.
    enum Stop: Equatable {
        case signal(Int32)
        case timeLimit(seconds: Double)
        case hung(icount: UInt64)
        /// The monitor stopped answering.
        case silent(seconds: Double)
    }

    struct Result {
        var stop: Stop?
        var process: ProcessEnd
        /// From QEMU's SHUTDOWN event: `guest-shutdown`, `host-qmp-quit`, …
        var shutdownReason: String?
        /// From QEMU's GUEST_PANICKED event.
        var guestPanicked = false
        /// Where a recording stood still when it ended.
        var standstill: Standstill?
        /// At the last look.
        var instructions: UInt64
        var seconds: Double
        /// What it took beyond a polite request.
        var wasTerminated = false
        var wasKilled = false
    }

    /// End the run after so many seconds.
    var timeLimit: Double?
    /// For a replay: seconds without any progress.
    var hangPatience: Double?
    /// For a recording.
    var standstill: StandstillWatch?
    /// QEMU's input log, whose place is watched.
    var inputLog = ""
    var observe: (RunStatus) -> Void = { _ in }

    private let child: ChildProcess
    private let monitor: QMPClient
    private let start = Clock.now()
    private var isConnected = false
    private var isClosed = false
    private var silentSince: Double?
    private var instructions: UInt64 = 0
    private var stop: Stop?
    private var stage = Stage.running
    private var stageSince: Double = 0
    private var shutdownReason: String?
    /// Nothing more is asked then: see ``ask(_:_:)``.
    private var hasShutDown = false
    /// A paused machine goes on (QEMU's RESUME event): that it stood still before means nothing.
    private var hasResumed = false
    private var guestPanicked = false

    private enum Stage: Int {
        case running, asked, terminated, killed
    }

    /// How long each request to end is given.
    private static let grace: Double = 10
    /// How long the monitor may be silent in a replay.
    private static let longestSilence: Double = 30

    init(child: ChildProcess, monitor: QMPClient) {
        self.child = child
        self.monitor = monitor
    }

    /// Returns when QEMU has ended.
    func run() -> Result {
        let signals = SignalWatch()
        var detector = hangPatience.map { HangDetector(patience: $0) }
        var nextLook = 0.0
        while child.poll() == nil {
            takeEvents()
            let now = Clock.now()
            if now >= nextLook {
                look(&detector)
                nextLook = Clock.now() + (now - start < 2 ? 0.05 : 0.25)
            }
            if let limit = timeLimit, now - start >= limit { end(.timeLimit(seconds: limit)) }
            if stage != .running, now - stageSince >= RunMonitor.grace { escalate() }
            if let number = signals.wait(seconds: max(0.01, nextLook - Clock.now())), number != SIGCHLD {
                if stage == .running { end(.signal(number)) } else { escalate() }
            }
        }
        takeEvents()
        return Result(
            stop: stop, process: child.end ?? .exited(status: -1), shutdownReason: shutdownReason,
            guestPanicked: guestPanicked, standstill: standstill?.lasting(now: Clock.now()), instructions: instructions,
            seconds: Clock.now() - start, wasTerminated: stage.rawValue >= Stage.terminated.rawValue,
            wasKilled: stage == .killed)
    }

    // MARK: Looking

    private func look(_ detector: inout HangDetector?) {
        guard !isClosed, !hasShutDown else { return }
        do {
            if !isConnected {
                try monitor.negotiate(timeout: 2)
                isConnected = true
            }
            let replay = try ask("query-replay")
            silentSince = nil
            instructions = UInt64(max(0, replay["icount"]?.integer ?? 0))
        } catch {
            takeEvents()
            noteFailure(error)
            return
        }
        takeEvents()
        observe(RunStatus(instructions: instructions, seconds: Clock.now() - start, isEnding: stage != .running))
        guard stage == .running else { return }
        if hasResumed {
            hasResumed = false
            detector?.forget()
            standstill?.forget()
        }
        if standstill?.observe(icount: instructions, now: Clock.now()) == true, isRunning(), !isWaitingForDisk() {
            let answer = try? ask("human-monitor-command", ["command-line": .string("info registers")])
            standstill?.note(icount: instructions, registers: answer?.string, now: Clock.now())
        }
        guard detector != nil else { return }
        let sighting = HangDetector.Sighting(icount: instructions, inputOffset: inputOffset() ?? 0)
        guard detector?.observe(sighting, now: Clock.now()) == true, isRunning() else { return }
        if isWaitingForDisk() {
            detector = hangPatience.map { HangDetector(patience: $0) }
        } else {
            end(.hung(icount: instructions))
        }
    }

    private func noteFailure(_ error: QMPError) {
        switch error {
        case .timeout:
            let since = silentSince ?? Clock.now()
            silentSince = since
            let silence = Clock.now() - since
            if hangPatience != nil, silence > RunMonitor.longestSilence { end(.silent(seconds: silence)) }
            standstill?.observe(silence: silence, icount: instructions, now: Clock.now())
        default:
            // QEMU is on its way out.
            isClosed = true
        }
    }

    /// Whether the machine runs, and did so since the look began.
    private func isRunning() -> Bool {
        guard (try? ask("query-status"))?["running"]?.bool == true else { return false }
        takeEvents()
        return !hasResumed
    }

    /// Sends a request. QEMU 10.0 sometimes does not end when one comes while it shuts down: its main thread waits in
    /// monitor_cleanup for a wake-up that was lost. Whatever wakes it will do, and then it ends as it should.
    private func ask(_ command: String, _ arguments: [String: JSONValue] = [:]) throws(QMPError) -> JSONValue {
        do {
            return try monitor.execute(command, arguments: arguments, timeout: 2)
        } catch {
            takeEvents()
            if case .timeout = error, hasShutDown { child.signal(SIGTERM) }
            throw error
        }
    }

    private func takeEvents() {
        for event in monitor.takeEvents() {
            switch event.name {
            case "SHUTDOWN":
                shutdownReason = event.data["reason"]?.string
                hasShutDown = true
            case "RESUME": hasResumed = true
            case "GUEST_PANICKED": guestPanicked = true
            default: break
            }
        }
    }

    /// Whether one of QEMU's threads stands in a system call that cannot be interrupted: a log that waits for a slow disk
    /// is no hang.
    private func isWaitingForDisk() -> Bool {
        let tasks = "/proc/\(child.pid)/task"
        return ((try? Files.list(tasks)) ?? []).contains { task in
            guard let stat = try? Files.contents("\(tasks)/\(task)/stat") else { return false }
            let text = String(decoding: stat, as: UTF8.self)
            return text.lastIndex(of: ")").map { text[$0...].hasPrefix(") D") } ?? false
        }
    }

    /// How far QEMU has read its input log, from /proc; nil where that cannot be seen.
    private func inputOffset() -> UInt64? {
        let directory = "/proc/\(child.pid)/fd"
        guard let names = try? Files.list(directory) else { return nil }
        for name in names {
            guard let target = try? Files.absolute("\(directory)/\(name)", what: "descriptor"), target == inputLog,
                let text = try? Files.contents("/proc/\(child.pid)/fdinfo/\(name)")
            else { continue }
            let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("pos:") }
            return line.flatMap { UInt64($0.dropFirst(4).drop { $0 == " " || $0 == "\t" }) }
        }
        return nil
    }

    // MARK: Ending

    private func end(_ why: Stop) {
        guard stage == .running else { return }
        stop = why
        stage = .asked
        stageSince = Clock.now()
        if isClosed || !isConnected {
            escalate()
        } else {
            _ = try? ask("quit")
        }
    }

    private func escalate() {
        stageSince = Clock.now()
        switch stage {
        case .running, .killed: break
        case .asked:
            stage = .terminated
            child.signal(SIGTERM)
        case .terminated:
            stage = .killed
            child.signal(SIGKILL)
        }
    }
}
