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
    /// A checkpoint that was kept.
    public struct Checkpoint: Sendable {
        /// QEMU's count.
        public var icount: UInt64
        /// Seconds that it took.
        public var seconds: Double
    }

    /// Called after each new checkpoint.
    public var onCheckpoint: (Checkpoint) -> Void = { _ in }
    /// Bytes of the checkpoints that outlive the session; nil if none do.
    public var checkpointBytes: UInt64? { side.prepared.store?.bytes }
    /// QEMU's counts of the checkpoints that there are.
    public var checkpointCounts: [UInt64] { checkpoints.counts }
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
        client = try DebuggerClient(path: side.debuggerSocket)
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
        if current != place {
            let clean = places.cleanStop(upTo: place.icount)
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

    /// Runs forward to a count at which QEMU stops in one state.
    private func run(to icount: UInt64) throws {
        while current.icount < icount {
            let next =
                checkpoints.isKept
                ? min(icount, places.cleanStop(upTo: current.icount &+ checkpoints.step)) : icount
            let target = next > current.icount ? next : icount
            let start = (icount: current.icount, time: Clock.now())
            try side.begin(to: target)
            try waitFor(target)
            current = EnginePlace(icount: side.icount)
            // A stop reply that nobody reads stays in the socket; when that is full, QEMU stops.
            try client.drain()
            try keepCheckpoint(start, isLast: target == icount)
        }
    }

    private func waitFor(_ target: UInt64) throws {
        while true {
            switch try side.poll(seconds: 0.2) {
            case nil: try onWait(side.progress() ?? side.icount)
            case .reached:
                guard side.icount == target else {
                    throw PlaceError("QEMU stopped after \(side.icount) instructions and not after \(target)")
                }
                return
            case .ended: throw PlaceError("the run ends before instruction \(target) of QEMU")
            case .hung(let icount):
                throw PlaceError(
                    "the run makes no progress after instruction \(icount) of QEMU: its events do not fit its input log"
                )
            }
        }
    }

    /// QEMU's count shortly before the end of what the run repeats: the last at which it can be stopped in one state.
    public var end: UInt64 {
        let last = places.engineCount(places.end.icount)
        return places.cleanStop(upTo: last > 0 ? last - 1 : 0)
    }

    /// Runs through the whole run, without going to a checkpoint that is ahead.
    public func goToEnd() throws {
        if current.icount < end { try run(to: end) }
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
