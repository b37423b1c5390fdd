// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A run that is made again under QEMU, stopped where the caller looks, and continued.
///
///     let side = try ReplaySide(RepeatableRun("run/replays/1", comparedWith: "run"), windowInstructions: 1 << 20)
///     try side.begin(to: 5_826_255)
///     if try side.wait() == .reached { print(side.memory.value(at: 0x234080) ?? 0, try side.registers()["RAX"] ?? 0) }
///     try side.openWindow()
///     try side.begin(to: 6_826_255)
///     _ = try side.wait()
///     print(side.window.instructions)
///
/// Places are instruction counts as QEMU counts them: a log's count minus the restored faults before it. At the count of a
/// fault or an interrupt there are two places, before and after the delivery, and QEMU stops at either: do not stop there
/// (``QEMUPlaces``). Looking changes nothing in the run. Two sides run in parallel: ``begin(to:)`` returns at once.
///
/// The trust rules are those of ``Replay``: the run's manifest may come from a stranger.
public final class ReplaySide {
    /// How a stretch of the run ended.
    public enum Stop: Equatable, Sendable {
        /// At the requested place.
        case reached
        /// The run ended before it.
        case ended
        /// It makes no progress: its events do not fit the input log. The guest is paused at this count.
        case hung(icount: UInt64)
    }

    /// How a side is run.
    public struct Options: Sendable {
        /// QEMU's path or name; nil looks for one of the recording's version.
        public var program: String?
        /// Whether the recording is the user's own (``QEMUEngine/ReplayOptions/trustsManifest``).
        public var trustsManifest = false
        /// The number of instructions for which a window has room.
        public var windowInstructions = 1 << 20
        /// Seconds without progress after which a side counts as hung.
        public var patience: Double = 3
        /// Seconds that an answer of QEMU's monitor may take.
        public var answerTime: Double = 60
        /// Whether QEMU's gdbstub listens (``ReplaySide/debuggerSocket``).
        public var hasDebugger = false
        /// Bytes of checkpoints that outlive the session, at most; 0: none do.
        public var checkpointSpace: UInt64 = 0
        /// The directory of all runs' checkpoints; nil for one in the user's cache. Only this user may be able to enter it.
        public var checkpointDirectory: String?
        /// How it uses them.
        public var checkpointUse = CheckpointUse.existing
        /// A recorder that sleeps until ``ReplaySide/wakeRecorder()``.
        public var recorder: SleepingRecorder?

        /// The default options.
        public init() {}
    }

    /// Warnings about the run's files.
    public let warnings: [String]
    /// QEMU's version.
    public var engineVersion: String { prepared.engine.version }
    /// The input log that the run follows.
    public var inputLog: String { prepared.plan.inputLog }
    /// The guest's memory.
    public private(set) var memory: GuestMemory
    /// The log of the open window.
    public private(set) var window: WindowLog
    /// The place at which the guest is stopped.
    public internal(set) var icount: UInt64 = 0
    /// The Unix socket of QEMU's gdbstub (``Options/hasDebugger``), in a directory that only this user can enter.
    public var debuggerSocket: String { prepared.debuggerSocket }

    private let options: Options
    private(set) var prepared: PreparedSide
    private var wakePage: WakePage?
    private var running: (child: ChildProcess, monitor: QMPClient)
    private var guest: QEMUGuest
    private var target: UInt64 = 0
    private(set) var hasEnded = false
    /// Whether QEMU's monitor has not answered in time since QEMU was started.
    private(set) var isSilent = false
    /// Seconds that an answer of QEMU's monitor may take.
    var answerTime: Double { options.answerTime }
    /// QEMU's process.
    var engineProcess: pid_t { running.child.pid }
    private var hang: HangDetector
    private var nextLook: Double = 0

    /// Starts QEMU with the guest paused before its first instruction.
    ///
    /// - Throws: ``RunError`` if a file of the run has changed or is missing, if its manifest asks for something that a
    ///   manifest may not, if QEMU of its version is not installed, or if QEMU does not start.
    public init(_ run: RepeatableRun, options: Options = Options()) throws(RunError) {
        self.options = options
        prepared = try PreparedSide(run, options)
        warnings = prepared.warnings
        hang = HangDetector(patience: options.patience)
        (memory, window) = try prepared.makeFiles()
        wakePage = try prepared.makeWakePage()
        (running, guest) = try prepared.start()
        do throws(RunError) {
            try check()
        } catch {
            // Damaged images of checkpoints may be the reason.
            guard let part = prepared.part, part.isReady else { throw error }
            part.clear()
            try restart()
        }
    }

    deinit {
        closeImages()
        running.child.endNow()
    }

    /// QEMU closes the images of checkpoints that outlive it, and ends.
    private func closeImages() {
        guard prepared.part != nil, !hasEnded else { return }
        _ = try? running.monitor.execute("quit", timeout: 1)
        for _ in 0..<400 where running.child.poll() == nil { usleep(5000) }
    }

    /// Ends QEMU and starts the run again from its beginning, with other checkpoints.
    func restart(with part: CheckpointPart) throws(RunError) {
        closeImages()
        prepared.use(part)
        try restart()
    }

    /// Seconds of processor time that QEMU has used: unlike those of a clock, they do not depend on what else runs.
    var processorTime: Double {
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(running.child.pid, &clock) == 0, clock_gettime(clock, &time) == 0 else {
            return Clock.now()
        }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Ends QEMU and starts the run again from its beginning.
    public func restart() throws(RunError) {
        running.child.endNow()
        (memory, window) = try prepared.makeFiles()
        wakePage = try prepared.makeWakePage()
        (running, guest) = try prepared.start()
        (icount, hasEnded, isSilent, checkpoint) = (0, false, false, nil)
        try check()
    }

    private func check() throws(RunError) {
        do throws(RunError) {
            try prepared.check(guest)
        } catch {
            running.child.endNow()
            throw error
        }
        guard window.isLoaded else {
            running.child.endNow()
            throw .engine(
                problem: "QEMU did not load the window plugin", output: Files.tail(prepared.plan.files.engineLog))
        }
        prepared.forgetFiles()
    }

    // MARK: Running

    /// Lets the guest run up to an instruction count; returns at once.
    public func begin(to target: UInt64) throws(RunError) {
        if window.mode == .primes, target > icount + 2 * ReplaySide.primedInstructions {
            try start(to: icount + ReplaySide.primedInstructions)
            _ = try wait()
            try set(.sleeps)
        }
        try start(to: target)
    }

    private func start(to target: UInt64) throws(RunError) {
        self.target = target
        hang = HangDetector(patience: options.patience)
        nextLook = Clock.now() + 0.5
        memory.guestRuns()
        guard target > icount, !hasEnded else { return }
        _ = running.monitor.takeEvents()
        try ask("replay-break", ["icount": .integer(Int64(clamping: target))])
        do throws(QMPError) {
            try running.monitor.execute("cont", timeout: options.answerTime)
        } catch {
            // QEMU gives up a replay that does not fit its input log, perhaps before it answers.
            guard error == .closed else { throw failure(error) }
            _ = end()
        }
    }

    /// How the stretch that was begun ended; nil if it has not within this time in seconds.
    public func poll(seconds: Double) throws(RunError) -> Stop? {
        if hasEnded { return .ended }
        if icount >= target { return .reached }
        do throws(QMPError) {
            for event in try running.monitor.waitForEvents(timeout: seconds) {
                if event.name == "SHUTDOWN" { return end() }
                if event.name == "STOP", try hasStopped() { return .reached }
            }
        } catch {
            return end()
        }
        if running.child.poll() != nil { return end() }
        return try lookForHang()
    }

    /// The count that the guest has reached while it runs; nil if QEMU does not answer now.
    public func progress() -> UInt64? {
        (try? running.monitor.execute("query-replay", timeout: 0.2))?["icount"]?.integer.map { UInt64(clamping: $0) }
    }

    private func end() -> Stop {
        (hasEnded, checkpoint) = (true, nil)
        return .ended
    }

    private func hasStopped() throws(QMPError) -> Bool {
        let count = try running.monitor.execute("query-replay", timeout: 30)["icount"]?.integer
        let isRunning = try running.monitor.execute("query-status", timeout: 30)["running"]?.bool
        guard let count, isRunning == false, UInt64(clamping: count) >= target else { return false }
        icount = UInt64(clamping: count)
        return true
    }

    private func lookForHang() throws(RunError) -> Stop? {
        guard Clock.now() >= nextLook else { return nil }
        nextLook = Clock.now() + 0.25
        guard let count = progress() else { return nil }
        let sighting = HangDetector.Sighting(icount: count, inputOffset: guest.inputOffset() ?? 0)
        guard hang.observe(sighting, now: Clock.now()), guest.isExecuting() else { return nil }
        try ask("stop")
        _ = try? running.monitor.execute("replay-delete-break", timeout: 5)
        icount = progress() ?? count
        return .hung(icount: icount)
    }

    // MARK: Looking

    /// The registers of the stopped guest.
    public func registers() throws(RunError) -> GuestRegisters {
        GuestRegisters(text: try monitor("info registers"))
    }

    /// The physical address of a virtual one in the stopped guest's address space; nil if it is not mapped.
    public func physicalAddress(of address: UInt64) throws(RunError) -> UInt64? {
        let answer = try monitor("gva2gpa 0x\(String(address, radix: 16))")
        guard let range = answer.firstRange(of: "gpa: 0x") ?? answer.firstRange(of: "gpa: 0X") else { return nil }
        return UInt64(answer[range.upperBound...].prefix { $0.isHexDigit }, radix: 16)
    }

    /// Executes one instruction, or one delivery of an interrupt.
    public func step() throws(RunError) -> Stop {
        try begin(to: icount + 1)
        return try wait()
    }

    /// Waits until the stretch that was begun has ended.
    public func wait() throws(RunError) -> Stop {
        while true { if let stop = try poll(seconds: 1) { return stop } }
    }

    // MARK: The window

    /// From here on each instruction and each memory access is logged. The stream is emptied first.
    public func openWindow() throws(RunError) {
        window.clear()
        try set(.logs)
    }

    /// Ends the logging; the stream stays.
    public func closeWindow() throws(RunError) {
        try set(.sleeps)
    }

    /// Tells the plugin what to do. The flag of QEMU's logging is part of a translation's identity: everything is translated
    /// anew.
    private func set(_ mode: WindowLog.Mode) throws(RunError) {
        window.mode = mode
        // QEMU may have given up the replay in the window; its log is whole up to there.
        if hasEnded { return }
        _ = try monitor(mode == .sleeps ? "log none" : "log nochain")
    }

    // MARK: The recorder

    /// Wakes the recorder of the stopped guest. It logs what QEMU translates from here on: a single step of the debugger makes
    /// QEMU forget all that it has translated.
    public func wakeRecorder() throws(RunError) { wakePage?.wake(try registers()) }

    /// The recorder's settings.
    var recorderSettings: SleepingRecorder? { options.recorder }

    /// Ends QEMU in order: the recorder closes its log.
    public func quit() throws(RunError) {
        if !hasEnded { _ = try? running.monitor.execute("quit", timeout: 5) }
        hasEnded = true
        let deadline = Clock.now() + ReplaySide.quitTime
        while running.child.poll() == nil {
            guard Clock.now() < deadline else { throw .engine(problem: "QEMU does not quit", output: "") }
            usleep(5000)
        }
    }

    /// Seconds that QEMU may take to close a log.
    private static let quitTime: Double = 60

    /// Throws if a signal has ended QEMU.
    ///
    /// - Parameter patience: seconds to wait for its end, where a connection to it was closed.
    func checkProcess(patience: Double = 0) throws(RunError) {
        let deadline = Clock.now() + patience
        while running.child.poll() == nil, Clock.now() < deadline { usleep(5000) }
        guard case .signaled? = running.child.end, let end = running.child.end else { return }
        hasEnded = true
        throw .engine(problem: "QEMU was ended by \(end)", output: Files.tail(prepared.plan.files.engineLog))
    }

    // MARK: Checkpoints

    /// Whether QEMU can go back to a checkpoint of the stopped guest: not if the guest uses a timer that it loses
    /// (``QEMUProgram/losesHPET``).
    public func canGoBack() throws(RunError) -> Bool {
        guard prepared.engine.program.losesHPET else { return true }
        let answer = try monitor("xp /1wx \(ReplaySide.hpetConfiguration)")
        // Without an HPET the answer is a sentence.
        guard let word = answer.split(whereSeparator: \.isWhitespace).last, word.hasPrefix("0x"),
            let value = UInt32(word.dropFirst(2), radix: 16)
        else { return true }
        return value == UInt32.max || value & 1 == 0
    }

    /// The physical address of the HPET's configuration. Bit 0 says that it counts (IA-PC HPET specification 1.0a, 2.3.5).
    private static let hpetConfiguration = "0xfed00010"

    /// Keeps the state of the stopped guest, in place of the one kept before.
    public func keepCheckpoint() throws(RunError) {
        let answer = try monitor("savevm tt-zoom")
        guard answer.isEmpty else { throw .engine(problem: "QEMU kept no checkpoint", output: answer) }
        checkpoint = icount
    }

    /// Puts the guest back to the checkpoint.
    public func goBack() throws(RunError) {
        let answer = try monitor("loadvm tt-zoom")
        guard answer.isEmpty, let checkpoint else {
            throw .engine(problem: "QEMU did not go back", output: answer)
        }
        icount = checkpoint
        memory.guestRuns()
        if prepared.engine.program.needsPriming { try set(.primes) }
    }

    /// The instructions for which the plugin primes QEMU after a checkpoint was loaded: some blocks.
    private static let primedInstructions: UInt64 = 5000

    /// The place of the checkpoint; nil without one.
    public private(set) var checkpoint: UInt64?

    // MARK: The monitor

    @discardableResult
    func ask(_ command: String, _ arguments: [String: JSONValue] = [:]) throws(RunError) -> JSONValue {
        do throws(QMPError) {
            return try running.monitor.execute(command, arguments: arguments, timeout: options.answerTime)
        } catch {
            throw failure(error)
        }
    }

    private func failure(_ error: QMPError) -> RunError {
        if case .timeout = error { isSilent = true }
        return .engine(problem: "\(error)", output: Files.tail(prepared.plan.files.engineLog))
    }

    func monitor(_ line: String) throws(RunError) -> String {
        try ask("human-monitor-command", ["command-line": .string(line)]).string ?? ""
    }
}
