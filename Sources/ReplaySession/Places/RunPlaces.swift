// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory

/// Converts between the positions of a run's log and QEMU's instruction count, from the log and its replay.bin.
///
///     let places = try RunPlaces(log: LogFile(path: "run"), inputLog: QEMUReplayLog(path: "run/replay.bin"))
///     let destination = try places.destination(brctr: 1_179_553)
///     print(destination.engine.icount, destination.position.ip ?? 0)
///
/// QEMU's count is the log's less the faults restored so far (``ReplayJoin``). An interrupt takes no instruction: before and
/// after its delivery both counts are the same. A restored fault takes one instruction of the log and none of QEMU's. So the
/// guest has several states at QEMU's count of such a delivery; ``EnginePlace/deliveries`` tells them apart.
public final class RunPlaces {
    /// An interrupt or a restored fault.
    struct Delivery: Hashable {
        /// QEMU's count.
        var engine: UInt64
        /// Transitions before it.
        var brctr: UInt64
        /// The log's count at the handler's first instruction.
        var icount: UInt64
        var isFault: Bool
        /// The handler's first instruction.
        var to: UInt64
    }

    /// The run's log.
    public let log: LogFile
    /// The run's input log.
    public let inputLog: QEMUReplayLog
    /// What makes positions uncertain.
    public let warnings: [String]
    /// The first instruction count, as the log counts, at which they are.
    public let uncertainFrom: UInt64
    /// The transition after the last that the run repeats, and the instruction there.
    public let end: (brctr: UInt64, icount: UInt64)
    /// Whether the run has a log.
    public let isLogged: Bool
    /// Ascending.
    let deliveries: [Delivery]
    /// The log's counts after each restored fault, ascending.
    private let faults: [UInt64]
    /// Stretches of the log's counts in which a log without branch bodies hides restored faults: QEMU's counts in them are
    /// uncertain by their number.
    private let hiddenFaults: [Range<UInt64>]
    /// QEMU's counts at which an interrupt or exception is in the input log, ascending.
    private let entries: [UInt64]
    private var batch = BranchBatch()
    /// The chunk in `batch`.
    private var decoded: Chunk?
    let chunks: ArraySlice<Chunk>
    private(set) lazy var eventSearch = EventSearch(log)

    /// Joins a log with the replay.bin that its run wrote or followed.
    ///
    /// - Throws: ``PlaceError`` if the log has no instruction counts or several vCPUs, ``LogError`` if a file cannot be read.
    public init(log: LogFile, inputLog: QEMUReplayLog) throws {
        guard log.header.features.contains(.icount) else {
            throw PlaceError(
                "\(log.path): the log has no instruction counts, so QEMU cannot be stopped at its positions")
        }
        guard log.vcpus.count <= 1 else {
            throw PlaceError("\(log.path): the log has \(log.vcpus.count) vCPUs, not one")
        }
        guard log.header.clockBase == 0, log.header.icountBase == 0 else {
            throw PlaceError("\(log.path): the log does not begin at the beginning of the run")
        }
        self.log = log
        self.inputLog = inputLog
        chunks = log.chunks(.branch, vcpu: 0)
        let join = try ReplayJoin.join(log, with: inputLog)
        (faults, hiddenFaults) = RunPlaces.faults(join)
        deliveries = RunPlaces.deliveries(join)
        entries = RunPlaces.entries(inputLog)
        warnings = RunPlaces.warnings(join)
        uncertainFrom = RunPlaces.firstLeftover(join)
        isLogged = true
        let last =
            chunks.last.map { (brctr: $0.clockLast &+ 1, icount: $0.icountLast) } ?? RunPlaces.recorderEnd(log)
        end = join.comparableEnd.map { (min($0.clock, last.brctr), $0.icount) } ?? last
    }

    /// The positions of a run without a log: its instruction counts are QEMU's, and there is no brctr.
    public init(inputLog: QEMUReplayLog) throws {
        log = try RunPlaces.emptyLog()
        self.inputLog = inputLog
        chunks = []
        faults = []
        hiddenFaults = []
        deliveries = []
        entries = RunPlaces.entries(inputLog)
        warnings = ["the run has no log: positions are QEMU's instruction counts"]
        uncertainFrom = 0
        isLogged = false
        end = (0, inputLog.lastIcount)
    }

    /// A log without records, whose file has no name any more.
    private static func emptyLog() throws -> LogFile {
        let directory = try PrivateDirectory(named: "tt-places", inMemory: 1 << 16)
        var options = LogWriter.Options()
        options.features = [.icount]
        try LogWriter(path: "\(directory.path)/ttd.log", options: options).close()
        return try LogFile(path: "\(directory.path)/ttd.log")
    }

    /// Where the recorder ended, by its own counts; (0, 0) if it was killed.
    private static func recorderEnd(_ log: LogFile) -> (brctr: UInt64, icount: UInt64) {
        let attributes = log.attributes
        guard let brctr = attributes["recorder.transitions"].flatMap({ UInt64($0) }),
            let icount = attributes["recorder.instructions"].flatMap({ UInt64($0) })
        else { return (0, 0) }
        return (brctr, icount)
    }

    private static func faults(_ join: ReplayJoin) -> (counts: [UInt64], hidden: [Range<UInt64>]) {
        var (counts, hidden): ([UInt64], [Range<UInt64>]) = ([], [])
        var before: (icount: UInt64, faults: UInt64) = (0, 0)
        for cause in join.causes {
            let own: UInt64 = cause.kind == .fault ? 1 : 0
            let added = cause.restoredFaults &- before.faults
            // A reset may restore its instruction, too.
            if added > own, cause.kind != .reset, cause.icount > before.icount {
                hidden.append(before.icount..<cause.icount)
            }
            guard added <= 1 << 20 else { break }
            counts += Array(repeating: cause.icount, count: Int(added))
            before = (cause.icount, cause.restoredFaults)
        }
        return (counts, hidden)
    }

    private static func deliveries(_ join: ReplayJoin) -> [Delivery] {
        var list: [Delivery] = []
        for cause in join.causes {
            guard cause.kind == .fault || cause.kind == .interrupt, cause.icount >= cause.restoredFaults else {
                continue
            }
            list.append(
                Delivery(
                    engine: cause.icount - cause.restoredFaults, brctr: cause.clock, icount: cause.icount,
                    isFault: cause.kind == .fault, to: cause.to))
        }
        return list
    }

    /// Whether the log hides restored faults around a count of it.
    func hidesFaults(at icount: UInt64) -> Bool {
        var (low, high) = (0, hiddenFaults.count)
        while low < high {
            let middle = (low + high) / 2
            if hiddenFaults[middle].upperBound > icount { high = middle } else { low = middle + 1 }
        }
        return low < hiddenFaults.count && hiddenFaults[low].contains(icount)
    }

    /// What makes positions at a count of the log uncertain.
    public func warnings(at icount: UInt64) -> [String] {
        let hidden = "the log has no branches here and hides a restored fault: the place is uncertain"
        return (icount >= uncertainFrom ? warnings : []) + (hidesFaults(at: icount) ? [hidden] : [])
    }

    private static func entries(_ inputLog: QEMUReplayLog) -> [UInt64] {
        var list: [UInt64] = []
        var events = inputLog.events()
        while let event = events.next() {
            if event.kind == .interrupt || event.kind == .exception { list.append(event.icount) }
        }
        return list
    }

    /// The place of the first leftover. Before it, all deliveries are explained. Uncounted instructions have no place.
    private static func firstLeftover(_ join: ReplayJoin) -> UInt64 {
        guard join.uncounted == 0 else { return 0 }
        let first = join.leftovers.map { leftover in
            switch leftover.what {
            case .transition(let branch): branch.icount
            case .entry(let event): event.icount
            }
        }
        return first.min() ?? 0
    }

    private static func warnings(_ join: ReplayJoin) -> [String] {
        var list: [String] = []
        if join.uncounted > 0 {
            list.append(
                "QEMU counted \(join.uncounted) instructions after an into that never began: later places are uncertain"
            )
        }
        let unknown = join.eventsWithoutTransition + join.transitionsWithoutEvent
        if unknown > 0 {
            list.append(
                "the join leaves \(unknown) interrupts or exceptions unexplained: places after the first are uncertain")
        }
        return list
    }

    // MARK: Counts

    /// QEMU's count for a count of the log.
    func engineCount(_ icount: UInt64) -> UInt64 { icount &- UInt64(RunPlaces.first(faults, after: icount)) }

    /// The number of elements that are not greater than a value: the index of the first greater one.
    private static func first(_ list: [UInt64], after value: UInt64) -> Int {
        var (low, high) = (0, list.count)
        while low < high {
            let middle = (low + high) / 2
            if list[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The deliveries at a count of QEMU.
    func deliveries(at engine: UInt64) -> ArraySlice<Delivery> {
        var (low, high) = (0, deliveries.count)
        while low < high {
            let middle = (low + high) / 2
            if deliveries[middle].engine < engine { low = middle + 1 } else { high = middle }
        }
        let end = deliveries[low...].firstIndex { $0.engine != engine } ?? deliveries.count
        return deliveries[low..<end]
    }

    /// The last count of QEMU, up to this one, at which a breakpoint stops the guest in one state only. From there on single
    /// steps show every state.
    public func cleanStop(upTo engine: UInt64) -> UInt64 {
        var place = engine
        var next = RunPlaces.first(entries, after: engine)
        // An entry at `place` or just before it makes the place ambiguous.
        while next > 0, place > 0, entries[next - 1] &+ 1 >= place {
            place = entries[next - 1] > 0 ? entries[next - 1] - 1 : 0
            while next > 0, entries[next - 1] > place { next -= 1 }
        }
        return place
    }

    // MARK: From the log to QEMU

    /// The position after so many transitions.
    public func destination(brctr: UInt64) throws -> Destination {
        if brctr == 0 { return Destination(position: LogPosition(brctr: 0, icount: 0), engine: EnginePlace(icount: 0)) }
        guard let branch = try branch(brctr - 1) else {
            throw PlaceError("brctr \(brctr) is after the end of the log, \(end.brctr)")
        }
        let engine = engineCount(branch.icount)
        let passed = deliveries(at: engine).count { $0.brctr < brctr }
        return Destination(
            position: LogPosition(brctr: brctr, icount: branch.icount, ip: branch.to),
            engine: EnginePlace(icount: engine, deliveries: passed))
    }

    /// The first position before which so many instructions have begun, as the log counts: before an interrupt there.
    public func destination(icount: UInt64) throws -> Destination {
        let last = max(end.icount, chunks.last?.icountLast ?? 0)
        guard icount <= last else {
            throw PlaceError("instruction \(icount) is after the end of the log, \(last)")
        }
        let engine = engineCount(icount)
        let passed = deliveries(at: engine).count { $0.icount < icount || ($0.icount == icount && $0.isFault) }
        let isInterrupt = deliveries(at: engine).contains { $0.icount == icount && !$0.isFault }
        let found = try brctr(icount: icount)
        var position = LogPosition(brctr: found?.brctr, icount: icount)
        if let found, found.isAtTarget {
            if isInterrupt { position.brctr = found.brctr &- 1 } else { position.ip = found.to }
        }
        return Destination(position: position, engine: EnginePlace(icount: engine, deliveries: passed))
    }

    // MARK: From QEMU to the log

    /// The position of a guest that is stopped at a count of QEMU before the instruction at a linear address.
    public func position(engine: UInt64, ip: UInt64, rcx: UInt64? = nil) throws -> LogPosition {
        let here = deliveries(at: engine)
        if let reached = here.last(where: { $0.to == ip }) {
            return LogPosition(brctr: reached.brctr &+ 1, icount: reached.icount, ip: ip, rcx: rcx)
        }
        if let next = here.first {
            return LogPosition(
                brctr: next.brctr, icount: next.isFault ? next.icount &- 1 : next.icount, ip: ip, rcx: rcx)
        }
        // Faults before it: each adds one to the log's count.
        var (low, high) = (0, faults.count)
        while low < high {
            let middle = (low + high) / 2
            if faults[middle] &- UInt64(middle + 1) < engine { low = middle + 1 } else { high = middle }
        }
        let icount = engine &+ UInt64(low)
        let found = try brctr(icount: icount)
        return LogPosition(brctr: found?.brctr, icount: icount, ip: ip, rcx: rcx)
    }

    // MARK: The log's branches

    /// The branch with that clock; nil after the log's end.
    func branch(_ clock: UInt64) throws -> Branch? {
        guard let chunk = chunk(where: { $0.clockLast >= clock }), chunk.clockFirst <= clock else { return nil }
        try decode(chunk)
        return batch[Int(clamping: clock - chunk.clockFirst)]
    }

    /// Transitions that come at or before an instruction count, and whether the last of them leads to that very count.
    /// nil if the log has no branches there.
    private func brctr(icount: UInt64) throws -> (brctr: UInt64, isAtTarget: Bool, to: UInt64)? {
        guard let last = chunks.last else { return nil }
        guard let chunk = chunk(where: { $0.icountLast >= icount }) else { return (last.clockLast &+ 1, false, 0) }
        if chunk.icountFirst > icount { return (chunk.clockFirst, false, 0) }
        if chunk.isElided { return nil }
        try decode(chunk)
        let counts = UnsafeBufferPointer(start: batch.icount, count: batch.count)
        var (low, high) = (0, counts.count)
        while low < high {
            let middle = (low + high) / 2
            if counts[middle] <= icount { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return (chunk.clockFirst, false, 0) }
        return (chunk.clockFirst &+ UInt64(low), counts[low - 1] == icount, batch.to[low - 1])
    }

    /// The first chunk for which a condition holds that stays true.
    private func chunk(where holds: (Chunk) -> Bool) -> Chunk? {
        var (low, high) = (chunks.startIndex, chunks.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if holds(chunks[middle]) { high = middle } else { low = middle + 1 }
        }
        return low < chunks.endIndex ? chunks[low] : nil
    }

    private func decode(_ chunk: Chunk) throws {
        if decoded == chunk { return }
        guard !chunk.isElided else {
            throw PlaceError(
                "\(log.path): the log keeps no branches of brctr \(chunk.clockFirst) to \(chunk.clockLast): replay the run"
                    + " with all branches in its log")
        }
        decoded = nil
        try log.decode(chunk, into: &batch)
        decoded = chunk
    }
}

// MARK: - Searches
extension RunPlaces {
    /// The position at which a transition leads to one of some addresses for the nth time, from 1.
    public func destination(addresses: [UInt64], nth: UInt64) throws -> Destination {
        var left = nth
        let (address, others) = (addresses.first ?? 0, Set(addresses.dropFirst()))
        for chunk in chunks where chunk.clockFirst < end.brctr {
            try decode(chunk)
            for index in 0..<batch.count
            where batch.to[index] == address || !others.isEmpty && others.contains(batch.to[index]) {
                left -= 1
                if left == 0 { return try destination(brctr: chunk.clockFirst &+ UInt64(index) &+ 1) }
            }
        }
        let seen = nth - left
        throw PlaceError(
            "no transition leads to 0x\(String(address, radix: 16))"
                + (seen == 0 ? "" : " more than \(seen == 1 ? "once" : "\(seen) times")"))
    }

    /// Instructions without a branch among them that contain some address.
    public struct Stretch: Hashable, Sendable {
        /// Transitions before it.
        public var brctr: UInt64
        /// The addresses that it contains, descending. Whether instructions begin there, the log does not show.
        public var addresses: [UInt64]
    }

    /// The last stretch of instructions before a position that contains one of some addresses.
    ///
    /// - Parameters:
    ///   - ip: the address of the instruction at the position: of its stretch, only what is before it counts.
    ///   - after: the search ends at the stretch that begins there.
    public func lastStretch(
        with addresses: [UInt64], before brctr: UInt64, ip: UInt64, after: UInt64 = 0
    ) throws -> Stretch? {
        guard !addresses.isEmpty else { return nil }
        let sorted = addresses.sorted()
        // The last instruction of the stretch; the position's own stretch ends before its instruction.
        var last = ip &- 1
        for chunk in chunks.reversed() where chunk.clockFirst < brctr {
            if chunk.clockLast < after { break }
            try decode(chunk)
            let count = Int(min(UInt64(batch.count), brctr - chunk.clockFirst))
            if let index = RunPlaces.lastIndex(batch.from, batch.to, count, sorted, &last) {
                let (start, length) = (batch.to[index], last &- batch.to[index])
                return Stretch(
                    brctr: chunk.clockFirst &+ UInt64(index) &+ 1,
                    addresses: sorted.reversed().filter { $0 &- start <= length })
            }
        }
        return nil
    }

    /// The last of some branches whose stretch contains an address. `last` is the last instruction of the stretch after the
    /// branches and, on return, of the one that was found.
    private static func lastIndex(
        _ from: UnsafePointer<UInt64>, _ to: UnsafePointer<UInt64>, _ count: Int, _ addresses: [UInt64],
        _ last: inout UInt64
    ) -> Int? {
        addresses.withUnsafeBufferPointer { addresses in
            let (low, high) = (addresses[0], addresses[addresses.count - 1])
            var end = last
            var index = count - 1
            while index >= 0 {
                let start = to[index]
                // Most stretches are outside of all addresses.
                if start <= high, end >= low, end &- start < longestStretch {
                    for address in addresses where address &- start <= end &- start {
                        last = end
                        return index
                    }
                }
                end = from[index]
                index -= 1
            }
            last = end
            return nil
        }
    }

    /// Bytes of code. A longer stretch is none: the position's own, at its first instruction.
    private static let longestStretch: UInt64 = 1 << 32
}
