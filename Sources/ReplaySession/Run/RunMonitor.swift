// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The state of a run while it continues.
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
        /// The guest had halted with interrupts off, at this address, for so long.
        case halted(ip: UInt64, seconds: Double)
        /// The guest of a replay had halted where its recording was ended, at this instruction.
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
        /// The resets of the machine in their order.
        public var resets: [RunOutcome.Reset] = []
        /// The standstill in which a recording ended.
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

    /// The time in seconds after which the run is ended.
    var timeLimit: Double?
    /// For a replay: seconds without progress after which it is ended.
    var hangPatience: Double?
    /// For a replay: seconds that its recording took. A guest that has halted with interrupts on may sleep for so long.
    var longestSleep: Double = 0
    /// For a replay of a recording that the host ended: its instructions. A guest that has halted there is at the end.
    var recordedEnd: UInt64?
    /// The time in seconds that the engine may be silent in a replay.
    var longestSilence: Double = 30
    /// For a recording: seconds after which a guest that has halted permanently is ended.
    var haltPatience: Double?
    /// For a recording: reports a standstill.
    var standstill: StandstillWatch?
    /// Called a few times a second.
    var observe: (RunStatus) -> Void = { _ in }

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
    /// A paused guest continues: a standstill before does not count.
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
        var detector = hangPatience.map { HangDetector(patience: $0) }
        var haltDetector = haltPatience.map { HangDetector(patience: $0) }
        var nextLook = 0.0
        while guest.poll() == nil {
            let pumpAgain = guest.pump() ?? 1
            takeEvents()
            let now = Clock.now()
            if now >= nextLook {
                look(&detector)
                lookForHalt(&haltDetector)
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

    private func look(_ detector: inout HangDetector?) {
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
            detector?.forget()
            standstill?.forget()
        }
        let logSize = guest.logSize()
        if standstill?.observe(icount: instructions, logSize: logSize, now: Clock.now()) == true, isExecuting(),
            !guest.isWaitingForDisk()
        {
            standstill?.note(icount: instructions, processor: guest.processor(), now: Clock.now())
        }
        guard detector != nil else { return }
        let sighting = HangDetector.Sighting(
            icount: instructions, inputOffset: guest.inputOffset() ?? 0, logSize: logSize)
        guard detector?.observe(sighting, now: Clock.now()) == true, isExecuting() else { return }
        if instructions == recordedEnd, case .halted = guest.processor() {
            end(.reachedEnd(icount: instructions))
        } else if guest.isWaitingForDisk() || isAsleep() {
            detector = hangPatience.map { HangDetector(patience: $0) }
        } else {
            end(.hung(icount: instructions))
        }
    }

    /// Whether the guest has halted and may wait for a timer. It may wait for as long as the whole recording took, not
    /// longer.
    private func isAsleep() -> Bool {
        guard Clock.now() - start < longestSleep + (hangPatience ?? 0) else { return false }
        if case .halted(_, interruptsOn: true) = guest.processor() { return true }
        return false
    }

    /// A guest that has halted with interrupts off executes nothing any more.
    private func lookForHalt(_ detector: inout HangDetector?) {
        guard stage == .running, !isGone, !hasShutDown, !isSilent, let patience = haltPatience else { return }
        if hasResumed { detector?.forget() }
        let sighting = HangDetector.Sighting(icount: instructions, inputOffset: 0, logSize: guest.logSize())
        guard detector?.observe(sighting, now: Clock.now()) == true, isExecuting() else { return }
        if case .halted(let ip, interruptsOn: false) = guest.processor() {
            end(.halted(ip: ip, seconds: patience))
        } else {
            detector?.forget()
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
