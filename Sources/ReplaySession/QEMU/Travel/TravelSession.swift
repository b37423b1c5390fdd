// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory

/// A run that is made again under QEMU and stopped at any position of its log, forwards and backwards.
///
///     let session = try TravelSession(RepeatableRun("run", comparedWith: "run"), places: places)
///     try session.go(to: places.destination(brctr: 1_179_553))
///     print(try session.position(), try session.registers()["RAX"] ?? 0)
///     try session.stepBack()
///
/// QEMU runs to the last count before the position at which it stops in one state only (``RunPlaces/cleanStop(upTo:)``), then
/// single steps lead to the position; the log's address there is compared. QEMU goes to a checkpoint where one is nearer; 10.0
/// starts again from the beginning if the guest uses an HPET. Looking changes nothing. QEMU dies with this process.
///
/// The trust rules are those of ``Replay``.
public final class TravelSession {
    /// The run under QEMU.
    public let side: ReplaySide
    /// The run's log and counts.
    public let places: RunPlaces
    /// Warnings about the run's files.
    public let warnings: [String]
    /// Where the guest is; nil after the debugger ran it, until ``look()``.
    var current: EnginePlace
    var client: DebuggerClient
    var checkpoints = Checkpoints()
    /// The accesses to watched memory that were searched last.
    var watched: WatchedStretch?
    /// The address space of the process that is followed; nil: all processes count.
    var process: UInt64?
    /// When each address space was in use; read from the log when it is needed.
    var spaces: AddressSpaces?
    /// Called about five times a second while the guest runs, with QEMU's count. What it throws ends the run.
    public var onWait: (UInt64) throws -> Void = { _ in }
    /// A checkpoint that was kept or loaded.
    public struct Checkpoint: Sendable {
        /// QEMU's count.
        public var icount: UInt64
        /// Seconds that it took.
        public var seconds: Double
        /// Seconds of QEMU's processor time that it took.
        public var processorSeconds: Double
    }

    /// Called after each new checkpoint. What it throws ends the way.
    public var onCheckpoint: (Checkpoint) throws -> Void = { _ in }
    /// Called after the guest was put back to a checkpoint.
    public var onRestore: (Checkpoint) -> Void = { _ in }
    /// Bytes of the checkpoints that outlive the session; nil if none do.
    public var checkpointBytes: UInt64? { side.prepared.part == nil ? nil : side.prepared.store?.bytes }
    /// QEMU's counts of the checkpoints that there are.
    public var checkpointCounts: [UInt64] { checkpoints.counts }
    /// What keeps checkpoints ahead of this session (``CheckpointUse/besideAhead``). It is started where there are none.
    public var ahead: (any ReplayAhead)? { didSet { startAhead() } }
    /// Called after QEMU did not answer and was started again, with a sentence for people.
    public var onSilence: (String) -> Void = { _ in }
    /// Called after QEMU was started again: the state of its gdbstub is lost.
    var onRestart: () throws -> Void = {}

    /// Starts QEMU, paused before the first instruction.
    ///
    /// - Throws: ``RunError`` as ``ReplaySide/init(_:options:)`` does.
    public init(_ run: RepeatableRun, places: RunPlaces, options: ReplaySide.Options = ReplaySide.Options()) throws {
        var options = options
        options.hasDebugger = true
        options.windowInstructions = 0
        side = try ReplaySide(run, options: options)
        warnings = side.warnings.filter { !$0.hasPrefix("the plugin ") }
        self.places = places
        client = try DebuggerClient(side)
        current = EnginePlace(icount: 0)
        try openStore()
    }

    // MARK: Going

    /// Runs to a position, forwards or backwards, and stops exactly there.
    ///
    /// - Throws: ``PlaceError`` if the run does not reach it, or is not where the log expects it.
    public func go(to destination: Destination) throws {
        try go(to: destination.engine, ip: destination.position.ip)
    }

    func go(to place: EnginePlace, ip: UInt64? = nil) throws {
        try despiteSilence { try goOnce(to: place, ip: ip) }
    }

    private func goOnce(to place: EnginePlace, ip: UInt64?) throws {
        if current != place {
            let clean = places.cleanStop(upTo: place.icount)
            checkpoints.visit(clean)
            try usePart(for: clean)
            if place < current { try goBack(to: clean) } else { try skip(to: clean) }
            if current.icount < clean { try run(to: clean) }
            try step(to: place)
        }
        guard let ip else { return }
        // Deliveries that the log shows as one transition: more of them may come at this count.
        var tries = 0
        while try linearIP() != ip {
            tries += 1
            guard tries <= TravelSession.sharedDeliveries else { throw try wrongPlace(ip) }
            try client.step()
            try side.lookWhere()
            current.deliveries += 1
            guard side.icount == place.icount else { throw try wrongPlace(ip) }
        }
    }

    /// Deliveries at one count that share a transition, at most.
    private static let sharedDeliveries = 8

    private func wrongPlace(_ ip: UInt64) throws -> PlaceError {
        let found = try linearIP()
        return PlaceError(
            "QEMU is at 0x\(String(found, radix: 16)) after \(side.icount) instructions, where the log has"
                + " 0x\(String(ip, radix: 16)): the run does not repeat itself up to there, or the log is another run's"
        )
    }

    /// Single steps from a state that is known. An interrupt that wakes a halted processor is delivered in the same step as
    /// the halt; another one may take a step in which nothing changes.
    private func step(to place: EnginePlace) throws {
        if current != place { try client.drain() }
        while current.icount < place.icount {
            try client.step()
            let before = current.icount
            try side.lookWhere()
            guard side.icount <= place.icount else {
                throw PlaceError(
                    "QEMU passes instruction \(place.icount): it goes from \(before) to \(side.icount) in one step")
            }
            current = EnginePlace(icount: side.icount)
        }
        guard !places.deliveries(at: place.icount).isEmpty else { return }
        current.deliveries = passed(try linearIP())
        var tries = 0
        while current.deliveries < place.deliveries {
            let before = try linearIP()
            try client.step()
            try side.lookWhere()
            tries += 1
            guard side.icount == place.icount, tries <= TravelSession.sharedDeliveries else {
                throw PlaceError("QEMU makes no delivery after \(place.icount) instructions, where the log has one")
            }
            let now = try linearIP()
            if now != before { current.deliveries = max(current.deliveries + 1, passed(now)) }
        }
    }

    /// The deliveries at the guest's count that have taken place, by the address that it is at.
    private func passed(_ ip: UInt64) -> Int {
        let here = places.deliveries(at: side.icount)
        return here.lastIndex { $0.to == ip }.map { $0 - here.startIndex + 1 } ?? 0
    }

    /// Runs forward to a count at which QEMU stops in one state, and keeps checkpoints on the way.
    private func run(to icount: UInt64) throws {
        // A near count at which a checkpoint that is due can be kept.
        var near: UInt64?
        var isStuck = false
        while current.icount < icount {
            let start = current.icount
            var next = near ?? icount
            var limit: Double?
            if checkpoints.isKept {
                next = min(next, checkpoints.times.first(after: start) ?? next)
                if next == icount { next = stopBefore(visit: icount) }
                if near == nil, !isStuck { limit = max(0, checkpoints.wanted - checkpoints.since) }
            }
            let time = side.processorTime
            try side.begin(to: next)
            let isThere = try waitFor(next, within: limit, since: time)
            current = EnginePlace(icount: side.icount)
            // A stop reply that nobody reads stays in the socket; when that is full, QEMU stops.
            try client.drain()
            checkpoints.pass(instructions: current.icount - start, seconds: side.processorTime - time)
            isStuck = current.icount == start
            near = isThere || isStuck ? nil : cleanStop(after: current.icount, upTo: icount)
            if isThere { try keepCheckpoint(beforeVisit: icount) }
        }
        checkpoints.times.covered = max(checkpoints.times.covered, current.icount)
    }

    /// A count shortly before a place to which the guest goes, or the place itself if that is near.
    private func stopBefore(visit icount: UInt64) -> UInt64 {
        let lead = UInt64(checkpoints.rate * Checkpoints.lead)
        guard icount - current.icount > 2 * lead else { return icount }
        let stop = places.cleanStop(upTo: icount - lead)
        return stop > current.icount ? stop : icount
    }

    /// A count after another one, and near it, at which QEMU stops in one state.
    private func cleanStop(after icount: UInt64, upTo limit: UInt64) -> UInt64 {
        var reach: UInt64 = 1
        while icount &+ reach < limit {
            let stop = places.cleanStop(upTo: icount &+ reach)
            if stop > icount { return stop }
            reach *= 2
        }
        return limit
    }

    /// Waits for a stop. Returns false if the guest was paused before it because it has used its time.
    private func waitFor(_ target: UInt64, within limit: Double? = nil, since begin: Double = 0) throws -> Bool {
        var nextCall = Clock.now() + TravelSession.callSeconds
        let pause = limit.map { min(TravelSession.pollSeconds, max(0.002, $0 / 8)) } ?? TravelSession.callSeconds
        while true {
            switch try side.poll(seconds: pause) {
            case nil:
                if let limit, side.processorTime - begin >= limit {
                    try side.pause()
                    return side.icount >= target
                }
                guard Clock.now() >= nextCall else { continue }
                nextCall = Clock.now() + TravelSession.callSeconds
                try onWait(side.progress() ?? side.icount)
            case .reached:
                guard side.icount == target else {
                    throw PlaceError("QEMU stopped after \(side.icount) instructions and not after \(target)")
                }
                return true
            case .ended:
                try side.checkProcess(patience: 1)
                throw PlaceError("the run ends before instruction \(target) of QEMU")
            case .hung(let icount):
                throw PlaceError(
                    "the run makes no progress after instruction \(icount) of QEMU: its events do not fit its input log"
                )
            }
        }
    }

    /// Seconds between two calls of ``onWait``.
    private static let callSeconds = 0.2
    /// Seconds between two looks whether a checkpoint is due, at most.
    private static let pollSeconds = 0.02

    /// QEMU's count shortly before the end of what the run repeats: the last at which it can be stopped in one state.
    public var end: UInt64 {
        let last = places.engineCount(places.end.icount)
        return places.cleanStop(upTo: last > 0 ? last - 1 : 0)
    }

    /// Runs forward to a count, without going to a checkpoint that is ahead.
    func runThrough(to icount: UInt64) throws {
        if current.icount < icount { try run(to: icount) }
    }

    /// Stops a guest that runs to a place.
    func pause() throws {
        try side.pause()
        try look()
    }

    // MARK: Looking

    /// A directory that only this user can enter. It is removed with the session.
    public var privateDirectory: String {
        let socket = side.debuggerSocket
        return socket.lastIndex(of: "/").map { String(socket[..<$0]) } ?? "."
    }

    /// Writes an ELF core with the registers and the first bytes of the physical memory (QEMU's dump-guest-memory).
    public func writeCore(to path: String, bytes: Int) throws(RunError) { try side.writeCore(to: path, bytes: bytes) }

    /// The registers of the stopped guest.
    public func registers() throws -> GuestRegisters { try side.registers() }

    /// The linear address of the next instruction.
    public func linearIP() throws -> UInt64 { try side.registers().linearIP }

    /// The position of the stopped guest.
    public func position() throws -> LogPosition {
        let registers = try side.registers()
        let ip = registers.linearIP
        return try places.position(engine: current.icount, ip: ip, rcx: registers["RCX"])
    }

    /// Finds out where the guest is after a debugger ran it.
    func look() throws {
        try side.lookWhere()
        current = EnginePlace(icount: side.icount, deliveries: passed(try linearIP()))
    }
}

extension GuestRegisters {
    /// The linear address of the next instruction: in 16-bit and 32-bit code, the base of the code segment counts.
    public var linearIP: UInt64 {
        let ip = self["RIP"] ?? 0
        guard codeBits != 64, let segment = list.first(where: { $0.name == "CS" }) else { return ip }
        let parts = segment.value.split(separator: " ")
        let base = parts.count > 1 ? UInt64(parts[1], radix: 16) ?? 0 : 0
        return (base &+ ip) & 0xffff_ffff
    }
}
