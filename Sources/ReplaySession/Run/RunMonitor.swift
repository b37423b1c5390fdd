// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The state of a run while it continues.
public struct RunStatus: Sendable {
    /// Guest instructions.
    public var instructions: UInt64
    /// Host seconds since the monitor was made.
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
        /// A replay made no progress for the patience; it stopped at this instruction count.
        case hung(icount: UInt64)
        /// The engine of a replay did not answer for this time, in seconds.
        case silent(seconds: Double)
        /// The guest of a recording has halted at this address with interrupts off, for the patience in seconds.
        case halted(ip: UInt64, seconds: Double)
        /// The guest of a replay has halted at the instruction count at which the host ended the recording.
        case reachedEnd(icount: UInt64)
    }

    /// The observations of a run that has ended.
    public struct Result: Sendable {
        /// nil when the run ended by itself.
        public var stop: Stop?
        /// How the engine's process ended.
        public var process: ProcessEnd
        /// The engine's word for why it ends; nil when it reported none.
        public var shutdownReason: String?
        /// Whether the guest reported a panic.
        public var guestPanicked = false
        /// The first resets of the machine in their order, at most 4096.
        public var resets: [RunOutcome.Reset] = []
        /// The standstill in which a recording ended.
        public var standstill: Standstill?
        /// Instructions at the last look.
        public var instructions: UInt64
        /// Host seconds from the making of the monitor to the end of the engine.
        public var seconds: Double
        /// Whether the engine received SIGTERM: it could not be asked to end, was still there 10 s after the request, or the
        /// tool received another signal.
        public var wasTerminated = false
        /// Whether it was killed after that, after another 10 s or another signal.
        public var wasKilled = false
    }

    /// The time in seconds after which the run is ended.
    var timeLimit: Double?
    /// For a replay: seconds without progress after which it is ended.
    var hangPatience: Double?
    /// For a replay: seconds that its recording took. After this time and `hangPatience`, a halted guest no longer counts as
    /// asleep.
    var longestSleep: Double = 0
    /// For a replay of a recording that the host ended: its instructions. A guest that has halted there is at the end.
    var recordedEnd: UInt64?
    /// The time in seconds that the engine may be silent in a replay.
    var longestSilence: Double = 30
    /// For a recording: seconds after which a guest that has halted permanently is ended.
    var haltPatience: Double?
    /// For a recording: reports a standstill.
    var standstill: StandstillWatch?
    /// Called after each answer of the engine: 20 times a second at first, then 4 times.
    var observe: (RunStatus) -> Void = { _ in }

    /// Detects that a replay makes no progress.
    private var hang: HangDetector?
    /// Detects that the guest of a recording makes no progress.
    private var halt: HangDetector?
    private let guest: any RunningGuest
    private let start = Clock.now()
    /// The engine is ending: it is not asked any more.
    private var isGone = false
    private var silence = SilenceWatch()
    private var isSilent = false
    private var instructions: UInt64 = 0
    private var stop: Stop?
    private var stage = Stage.running
    private var stageSince: Double = 0
    private var shutdownReason: String?
    private var hasShutDown = false
    /// Whether a paused guest has resumed and the detectors have not begun anew.
    private var hasResumed = false
    private var guestPanicked = false
    private var resets: [RunOutcome.Reset] = []

    private enum Stage: Int {
        case running, asked, terminated, killed
    }

    /// The number of resets that are kept.
    private static let resetLimit = 1 << 12
    /// The time in seconds that each request to end may take.
    private static let grace: Double = 10

    init(_ guest: any RunningGuest) { self.guest = guest }

    /// Returns when the engine has ended.
    func run() -> Result {
        let signals = SignalWatch()
        hang = hangPatience.map { HangDetector(patience: $0) }
        halt = haltPatience.map { HangDetector(patience: $0) }
        var nextLook = 0.0
        while guest.poll() == nil {
            let pumpAgain = guest.pump() ?? 1
            takeEvents()
            let now = Clock.now()
            if now >= nextLook {
                look()
                lookForHalt()
                nextLook = Clock.now() + (now - start < 2 ? 0.05 : 0.25)
            }
            if let limit = timeLimit, now - start >= limit { end(.timeLimit(seconds: limit)) }
            if stage != .running, now - stageSince >= RunMonitor.grace { escalate() }
            if let number = signals.wait(seconds: max(0.01, min(pumpAgain, nextLook - Clock.now()))), number != SIGCHLD
            {
                if stage == .running { end(.signal(number)) } else { escalate() }
            }
        }
        _ = guest.pump()
        takeEvents()
        return Result(
            stop: stop, process: guest.poll() ?? .exited(status: -1), shutdownReason: shutdownReason,
            guestPanicked: guestPanicked, resets: resets, standstill: standstill?.lasting(now: Clock.now()),
            instructions: instructions,
            seconds: Clock.now() - start, wasTerminated: stage.rawValue >= Stage.terminated.rawValue,
            wasKilled: stage == .killed)
    }

    // MARK: Looking

    private func look() {
        guard !isGone, !hasShutDown else { return }
        do {
            instructions = try guest.instructions()
            silence.end()
            isSilent = false
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
            hang?.forget()
            halt?.forget()
            standstill?.forget()
        }
        let logSize = guest.logSize()
        if standstill?.observe(icount: instructions, logSize: logSize, now: Clock.now()) == true, isExecuting(),
            !guest.isWaitingForDisk()
        {
            standstill?.note(icount: instructions, processor: guest.processor(), now: Clock.now())
        }
        guard hang != nil else { return }
        let sighting = HangDetector.Sighting(
            icount: instructions, inputOffset: guest.inputOffset() ?? 0, logSize: logSize)
        guard hang?.observe(sighting, now: Clock.now()) == true, isExecuting() else { return }
        if instructions == recordedEnd, case .halted = guest.processor() {
            end(.reachedEnd(icount: instructions))
        } else if guest.isWaitingForDisk() || isAsleep() {
            hang = hangPatience.map { HangDetector(patience: $0) }
        } else {
            end(.hung(icount: instructions))
        }
    }

    /// Whether the guest has halted with interrupts on, and the replay has not run longer than its recording plus the
    /// patience.
    private func isAsleep() -> Bool {
        guard Clock.now() - start < longestSleep + (hangPatience ?? 0) else { return false }
        if case .halted(_, interruptsOn: true) = guest.processor() { return true }
        return false
    }

    /// Ends a recording whose guest has halted with interrupts off and makes no progress: no maskable interrupt wakes it. The
    /// guest has one vCPU.
    private func lookForHalt() {
        guard stage == .running, !isGone, !hasShutDown, !isSilent, let patience = haltPatience else { return }
        if hasResumed { halt?.forget() }
        let sighting = HangDetector.Sighting(icount: instructions, inputOffset: 0, logSize: guest.logSize())
        guard halt?.observe(sighting, now: Clock.now()) == true, isExecuting() else { return }
        if case .halted(let ip, interruptsOn: false) = guest.processor() {
            end(.halted(ip: ip, seconds: patience))
        } else {
            halt?.forget()
        }
    }

    private func noteSilence(_ silence: GuestSilence) {
        switch silence {
        case .busy:
            isSilent = true
            let sighting = SilenceWatch.Sighting(logSize: guest.logSize(), processorTime: guest.processorTime())
            let seconds = self.silence.observe(sighting, now: Clock.now())
            if hangPatience != nil, seconds > longestSilence { end(.silent(seconds: seconds)) }
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
            case .reset(let reset): if resets.count < RunMonitor.resetLimit { resets.append(reset) }
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
