// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// What is known of a run while it goes on.
public struct RunStatus: Sendable {
    /// Guest instructions.
    public var instructions: UInt64
    /// Seconds since the engine was started.
    public var seconds: Double
    /// Whether the run is being ended.
    public var isEnding: Bool
}

/// Watches one guest until its engine has ended, and ends it when it must.
public final class RunMonitor {
    /// Why the monitor ended the run.
    public enum Stop: Equatable, Sendable {
        /// The tool received this signal.
        case signal(Int32)
        /// The time that the user allowed is up.
        case timeLimit(seconds: Double)
        /// No progress, at this instruction.
        case hung(icount: UInt64)
        /// The engine stopped answering.
        case silent(seconds: Double)
    }

    /// What was seen of a run that has ended.
    public struct Result: Sendable {
        /// nil when the run ended by itself.
        public var stop: Stop?
        /// How the engine's process ended.
        public var process: ProcessEnd
        /// The engine's word for why it ends; nil when it reported none.
        public var shutdownReason: String?
        /// Whether the guest reported a panic.
        public var guestPanicked = false
        /// Where a recording stood still when it ended.
        public var standstill: Standstill?
        /// Instructions at the last look.
        public var instructions: UInt64
        /// Seconds of the host.
        public var seconds: Double
        /// Whether the engine did not react to a request and received SIGTERM.
        public var wasTerminated = false
        /// Whether it did not react to SIGTERM either and was killed.
        public var wasKilled = false
    }

    /// End the run after so many seconds.
    var timeLimit: Double?
    /// For a replay: seconds without progress after which it is ended.
    var hangPatience: Double?
    /// For a recording: reports that it stands still.
    var standstill: StandstillWatch?
    /// Called a few times a second.
    var observe: (RunStatus) -> Void = { _ in }

    private let guest: any RunningGuest
    private let start = Clock.now()
    /// The engine is ending: it is not asked any more.
    private var isGone = false
    private var silentSince: Double?
    private var instructions: UInt64 = 0
    private var stop: Stop?
    private var stage = Stage.running
    private var stageSince: Double = 0
    private var shutdownReason: String?
    private var hasShutDown = false
    /// A paused guest goes on: what stood still before does not count.
    private var hasResumed = false
    private var guestPanicked = false

    private enum Stage: Int {
        case running, asked, terminated, killed
    }

    /// How many seconds each request to end is given.
    private static let grace: Double = 10
    /// How many seconds the engine may be silent in a replay.
    private static let longestSilence: Double = 30

    init(_ guest: any RunningGuest) { self.guest = guest }

    /// Returns when the engine has ended.
    func run() -> Result {
        let signals = SignalWatch()
        var detector = hangPatience.map { HangDetector(patience: $0) }
        var nextLook = 0.0
        while guest.poll() == nil {
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
            stop: stop, process: guest.poll() ?? .exited(status: -1), shutdownReason: shutdownReason,
            guestPanicked: guestPanicked, standstill: standstill?.lasting(now: Clock.now()), instructions: instructions,
            seconds: Clock.now() - start, wasTerminated: stage.rawValue >= Stage.terminated.rawValue,
            wasKilled: stage == .killed)
    }

    // MARK: Looking

    private func look(_ detector: inout HangDetector?) {
        guard !isGone, !hasShutDown else { return }
        do {
            instructions = try guest.instructions()
            silentSince = nil
        } catch {
            takeEvents()
            noteSilence(error)
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
        if standstill?.observe(icount: instructions, now: Clock.now()) == true, isExecuting(),
            !guest.isWaitingForDisk()
        {
            standstill?.note(icount: instructions, processor: guest.processor(), now: Clock.now())
        }
        guard detector != nil else { return }
        let sighting = HangDetector.Sighting(icount: instructions, inputOffset: guest.inputOffset() ?? 0)
        guard detector?.observe(sighting, now: Clock.now()) == true, isExecuting() else { return }
        if guest.isWaitingForDisk() {
            detector = hangPatience.map { HangDetector(patience: $0) }
        } else {
            end(.hung(icount: instructions))
        }
    }

    private func noteSilence(_ silence: GuestSilence) {
        switch silence {
        case .busy:
            let since = silentSince ?? Clock.now()
            silentSince = since
            let seconds = Clock.now() - since
            if hangPatience != nil, seconds > RunMonitor.longestSilence { end(.silent(seconds: seconds)) }
            standstill?.observe(silence: seconds, icount: instructions, now: Clock.now())
        case .gone:
            isGone = true
        }
    }

    /// Whether the guest is not paused, and was not since the look began.
    private func isExecuting() -> Bool {
        guard guest.isExecuting() else { return false }
        takeEvents()
        return !hasResumed
    }

    private func takeEvents() {
        for event in guest.takeEvents() {
            switch event {
            case .shutdown(let reason):
                shutdownReason = reason
                hasShutDown = true
            case .resumed: hasResumed = true
            case .panicked: guestPanicked = true
            }
        }
    }

    // MARK: Ending

    private func end(_ why: Stop) {
        guard stage == .running else { return }
        stop = why
        stage = .asked
        stageSince = Clock.now()
        if isGone || !guest.askToEnd() { escalate() }
    }

    private func escalate() {
        stageSince = Clock.now()
        switch stage {
        case .running, .killed: break
        case .asked:
            stage = .terminated
            guest.signal(SIGTERM)
        case .terminated:
            stage = .killed
            guest.signal(SIGKILL)
        }
    }
}
