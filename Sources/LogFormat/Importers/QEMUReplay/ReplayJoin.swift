// SPDX-License-Identifier: GPL-2.0-or-later

/// The cause of a transition that no branch explains, according to QEMU's replay.bin.
public enum JoinedCauseKind: String, Sendable, Hashable, CaseIterable {
    /// A hardware interrupt.
    case interrupt
    /// An exception after the instruction at `from`, which was executed: ud2, or a fault in fetching the next one.
    case exception
    /// An exception of the instruction at `from`, which was undone: a page fault.
    case fault
    /// `int n`.
    case softwareInterrupt = "software-interrupt"
    /// A reset of the machine: by the guest, by a triple fault, or by the operator.
    case reset
}

/// A transition, and its cause.
public struct JoinedCause: Hashable, Sendable {
    /// Transitions before it.
    public var clock: UInt64
    /// Instructions begun before the one at `to`, as the log counts them.
    public var icount: UInt64
    /// The kind of the cause.
    public var kind: JoinedCauseKind
    /// The instruction that was left.
    public var from: UInt64
    /// The instruction that began next: the first of the handler.
    public var to: UInt64
    /// Restored faults up to and including it. A log without branch bodies does not show all of them: those that it hides count
    /// from the next cause on that shows how many they were.
    public var restoredFaults: UInt64
}

/// Joins a log with the replay.bin of its run: finds the interrupt or exception that caused each discontinuity.
///
/// QEMU counts instructions that were executed; the log counts those that began. They differ by the *restored faults*:
/// instructions that began, faulted and were undone. So, for a transition at the log's count `n`, with
/// `adjusted = n - restored faults so far`:
///
/// - an EXCEPTION at `adjusted - 1` is a restored fault;
/// - an INTERRUPT at `adjusted` is a hardware interrupt;
/// - an EXCEPTION at `adjusted` is one that was not restored;
/// - a reset request at `adjusted`, or at `adjusted - 1` if its instruction was restored, explains a transition to the
///   reset vector. Entries before it at the same position share that transition: the exceptions of a triple fault.
///
/// `into` is the exception to the rule. QEMU counts all instructions of the block in which an `into` traps, also those
/// after it. So an EXCEPTION that comes less than 512 instructions too late for an `int` branch adds the distance to
/// ``uncounted``. From there on, QEMU's count is `adjusted + uncounted`.
///
/// Both files are read once. Without branch bodies (mode events, or elided), the log's discontinuity events are joined;
/// an interrupt or exception directly after an indirect branch or an `int n` is then counted in ``eventsNotVisible``.
///
/// The join of a replay that diverged is valid up to the divergence only; after it there are leftovers.
public struct ReplayJoin: Sendable {
    /// Leftovers that are kept when the caller names no other number.
    public static let leftoverLimit = 32

    /// The causes that were found, by clock.
    public internal(set) var causes: [JoinedCause] = []
    /// Discontinuities that no entry of the replay.bin explains.
    public internal(set) var transitionsWithoutEvent = 0
    /// INTERRUPT and EXCEPTION entries that no transition shows.
    public internal(set) var eventsWithoutTransition = 0
    /// Entries that followed another at one position and share its transition: an interrupt whose handler faulted before
    /// its first instruction.
    public internal(set) var eventsSharingTransition = 0
    /// Entries that a log without branch bodies cannot show.
    public internal(set) var eventsNotVisible = 0
    /// The first leftovers, in the order in which they were found, with a reason each.
    public internal(set) var leftovers: [JoinLeftover] = []
    /// Instructions that began and were undone.
    public internal(set) var restoredFaults: UInt64 = 0
    /// Instructions that QEMU counted and that never began: those after an `into` that trapped, in its block.
    public internal(set) var uncounted: UInt64 = 0
    /// Whether branches were joined, or only discontinuity events.
    public internal(set) var usesBranches = true
    /// The first position that is not compared, because QEMU does not repeat itself after it; nil if the log ends
    /// before it. The clock is that of the first branch that is not compared, icount the first instruction.
    public internal(set) var comparableEnd: (clock: UInt64, icount: UInt64, reason: String)?
    /// Why the run ended, according to the replay.bin; nil if the run did not reach its end, or if the replay.bin is
    /// cut short.
    public internal(set) var runEnd: RunEnd?

    /// Joins vCPU 0 of a log with the replay.bin of its run; for a replay, with the one that it followed. Damage in
    /// either file is no error: the readable parts are joined.
    ///
    /// - Throws: ``LogError`` if the log has no instruction counts, or a file cannot be read.
    public static func join(
        _ log: LogFile, with replay: QEMUReplayLog, leftoverLimit: Int = ReplayJoin.leftoverLimit,
        progress: (Double) -> Void = { _ in }
    ) throws(LogError) -> ReplayJoin {
        guard log.header.features.contains(.icount) else {
            throw LogError(
                file: log.path, kind: .invalidRequest("no instruction counts in this log: it cannot be joined"))
        }
        let chunks = log.chunks(.branch, vcpu: 0)
        if !chunks.isEmpty, !chunks.contains(where: \.isElided),
            let join = joinBranches(log, replay, leftoverLimit, progress)
        {
            return join
        }
        return joinEvents(log, replay, leftoverLimit, progress)
    }

    /// Joins the branches; nil if not all of them can be read.
    private static func joinBranches(
        _ log: LogFile, _ replay: QEMUReplayLog, _ leftoverLimit: Int, _ progress: (Double) -> Void
    ) -> ReplayJoin? {
        var matcher = ReplayMatcher(
            replay: replay, header: log.header, seesEverything: true, leftoverLimit: leftoverLimit)
        var batch = BranchBatch()
        let chunks = log.chunks(.branch, vcpu: 0)
        var clockEnd: UInt64 = 0
        for (number, chunk) in chunks.enumerated() where !matcher.isAtEnd {
            do throws(LogError) {
                try log.decode(chunk, into: &batch)
            } catch {
                return nil
            }
            matcher.take(batch)
            clockEnd = batch.clockFirst &+ UInt64(batch.count)
            progress(Double(number + 1) / Double(chunks.count))
        }
        return matcher.finish(clockEnd: clockEnd, instructions: instructions(log, clockEnd: clockEnd))
    }

    private static func joinEvents(
        _ log: LogFile, _ replay: QEMUReplayLog, _ leftoverLimit: Int, _ progress: (Double) -> Void
    ) -> ReplayJoin {
        var matcher = ReplayMatcher(
            replay: replay, header: log.header, seesEverything: false, leftoverLimit: leftoverLimit)
        var clockEnd: UInt64 = 0
        var events = log.events([.event, .access])
        while !matcher.isAtEnd, let event = events.next() {
            guard event.validity.contains(.icount) else { continue }
            if !matcher.isPastEnd(icount: event.icount) { clockEnd = event.clock }
            if event.kind == .discontinuity, let to = event.values.first {
                matcher.take(
                    Branch(
                        clock: event.clock, from: event.ip, to: to, icount: event.icount &+ 1,
                        label: BranchLabel(rawValue: UInt8(truncatingIfNeeded: event.info))))
            }
        }
        progress(1)
        var join = matcher.finish(clockEnd: clockEnd, instructions: instructions(log, clockEnd: nil))
        if let end = join.comparableEnd {
            // `clockEnd` may count records after the end: what `int` raised is matched at the end of the join only.
            join.comparableEnd?.clock =
                firstClock(in: log, atOrAfter: end.icount)
                ?? min(end.clock, lastClock(in: log, before: end.icount) ?? end.clock)
        }
        return join
    }

    /// The clock of the last event or access before an instruction count; nil if there is none.
    private static func lastClock(in log: LogFile, before icount: UInt64) -> UInt64? {
        var last: UInt64?
        for stream in [LogStream.event, .access] {
            guard let chunk = log.chunks(stream, vcpu: 0).last(where: { $0.icountFirst < icount }) else { continue }
            var events = log.events([stream], from: chunk.clockFirst)
            while let event = events.next() {
                guard event.validity.contains(.icount), event.icount < icount else { continue }
                last = max(last ?? 0, event.clock)
            }
        }
        return last
    }

    /// The clock of the first branch at or after an instruction count; nil if that branch's body was not kept.
    private static func firstClock(in log: LogFile, atOrAfter icount: UInt64) -> UInt64? {
        let chunks = log.chunks(.branch, vcpu: 0)
        guard let chunk = chunks.first(where: { $0.icountLast >= icount }) else {
            return chunks.last.map { $0.clockLast &+ 1 }
        }
        if chunk.icountFirst >= icount { return chunk.clockFirst }
        var batch = BranchBatch()
        guard (try? log.decode(chunk, into: &batch)) != nil else { return nil }
        return (0..<batch.count).first { batch.icount[$0] >= icount }.map { batch.clockFirst &+ UInt64($0) }
    }

    /// The number of instructions begun in the whole run. nil if the recorder did not report it at the run's end, or if
    /// the log does not hold the run up to the branch at `clockEnd`.
    private static func instructions(_ log: LogFile, clockEnd: UInt64?) -> UInt64? {
        let attributes = log.attributes
        if log.lostRecords > 0 { return nil }
        if let clockEnd, let text = attributes["recorder.transitions"], UInt64(text) != clockEnd { return nil }
        return attributes["recorder.instructions"].flatMap { UInt64($0) }
    }
}
