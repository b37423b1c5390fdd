// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The algorithm of ``ReplayJoin``: takes transitions in order and matches them with the entries of a replay.bin.
///
/// `adjusted` is a transition's instruction count less the offset so far, which is QEMU's count.
struct ReplayMatcher: ~Copyable {
    private var result = ReplayJoin()
    private var entries: ReplayEventCursor
    /// Entries that have been read ahead of ``pending``, in order.
    private var readAhead: [ReplayEvent] = []
    private let isComplete: Bool
    private let isKilled: Bool
    private let isReplay: Bool
    /// Whether every transition is taken; otherwise only discontinuities are.
    private let seesEverything: Bool
    /// Leftovers that are kept at most.
    private let leftoverLimit: Int
    /// The next INTERRUPT, EXCEPTION or reset entry without a transition; nil after the last one.
    private var pending: ReplayEvent?
    /// The entry at which the machine stopped, once it has been read.
    private var shutdown: ReplayEvent?
    /// Position of the last entry read: where a replay.bin without a shutdown ends.
    private var lastIcount: UInt64 = 0
    /// An indirect branch that may belong to the pending EXCEPTION. The exception may also belong to the next
    /// instruction, if that one was undone; the next transition decides.
    private var tentative: Branch?
    /// Position of the entry matched last; entries that follow at the same position share its transition.
    private var matchedAt: UInt64?
    /// ``offset`` before the first leftover; nil without leftovers.
    private var offsetBeforeLeftover: UInt64?
    /// Exceptions since the last match that no transition showed. Each of them may be a restored fault. Always 0 if all
    /// branches are joined.
    private var hiddenExceptions: UInt64 = 0
    /// Clock of the first branch after the comparable end.
    private var endClock: UInt64?

    /// Makes a matcher for a log with this header. Entries before the log's first instruction belong to an earlier run:
    /// this one began at a checkpoint.
    init(
        replay: QEMUReplayLog, header: FileHeader, seesEverything: Bool,
        leftoverLimit: Int = ReplayJoin.leftoverLimit
    ) {
        self.leftoverLimit = leftoverLimit
        entries = replay.events()
        isReplay = header.runKind == .replay
        isComplete = replay.isComplete
        isKilled = replay.version == 0
        self.seesEverything = seesEverything
        result.usesBranches = seesEverything
        repeat { advance() } while pending.map { $0.icount < header.icountBase } ?? false
    }

    /// The log's instruction count less QEMU's, modulo 2^64.
    private var offset: UInt64 { result.restoredFaults &- result.uncounted }

    /// Whether the run's comparable end has been passed.
    var isAtEnd: Bool { endClock != nil }

    /// Whether an instruction with this count is after the comparable end.
    func isPastEnd(icount: UInt64) -> Bool {
        pending == nil && icount >= endIcount
    }

    /// The first instruction after the comparable end, as the log counts; known once no entry is pending.
    private var endIcount: UInt64 { (shutdown?.icount ?? lastIcount) &+ offset }

    // MARK: Taking transitions

    /// Takes the branches of a batch up to the comparable end.
    mutating func take(_ batch: borrowing BranchBatch) {
        let icounts = batch.icount
        let labels = batch.label
        let staticTarget = UInt8(TTLOG_LABEL_STATIC)
        var due = nextDue
        for index in 0..<batch.count {
            let icount = icounts[index]
            let isExplained = labels[index] & staticTarget != 0
            // Until the next entry, or the end, is due, only unexplained transitions matter.
            if icount < due {
                let label = BranchLabel(rawValue: labels[index])
                if isExplained || !(label.isDiscontinuity || label.branchClass == .int) { continue }
            } else {
                if let tentative, icount > tentative.icount &+ 1 || isExplained { accept(tentative) }
                let adjusted = icount &- offset
                passEntries(before: adjusted > 0 ? adjusted &- 1 : 0)
                if isPastEnd(icount: icount) {
                    endClock = batch.clockFirst &+ UInt64(index)
                    return
                }
            }
            if !isExplained { take(batch[index]) }
            due = nextDue
        }
    }

    /// The least count, as the log counts, at which the next entry can have its transition or the end can be.
    private var nextDue: UInt64 {
        pending.map { $0.icount &+ offset } ?? endIcount
    }

    /// Takes one transition that its instruction's static target does not explain.
    mutating func take(_ branch: Branch) {
        if let tentative {
            let isNext = branch.icount == tentative.icount &+ 1 && branch.from == tentative.to
            if isNext { self.tentative = nil } else { accept(tentative) }
        }
        if isPastEnd(icount: branch.icount) {
            endClock = branch.clock
            return
        }
        if match(branch) || !branch.label.isDiscontinuity { return }
        result.transitionsWithoutEvent += 1
        keep(.transition(branch), pending == nil ? .afterLastEntry : .noEntry)
        markLeftover()
    }

    /// Matches the branch with an entry at its position. Drops the entries before that position.
    private mutating func match(_ branch: Branch) -> Bool {
        if branch.to == Self.resetVector, matchReset(branch) { return true }
        let adjusted = branch.icount &- offset
        while let entry = pending, entry.icount <= adjusted {
            // How far before the branch the entry is; one instruction is the restored one itself.
            let distance = adjusted &- entry.icount
            let isException = entry.kind == .exception
            guard entry.kind != .checkpointResetRequested, distance <= hiddenExceptions &+ (isException ? 1 : 0) else {
                letGo(entry)
                advance()
                continue
            }
            let isFault = isException && distance > 0
            let branchClass = branch.label.branchClass
            if isException, !isFault, !branch.label.isDiscontinuity, branchClass != .int {
                tentative = branch
                return true
            }
            result.restoredFaults &+= distance  // the hidden ones, and this one
            hiddenExceptions = 0
            let kind: JoinedCauseKind =
                !isException
                ? .interrupt : isFault ? .fault : branchClass == .int ? .softwareInterrupt : .exception
            add(branch, kind)
            return true
        }
        return branch.label.branchClass == .int && matchLate(branch, adjusted)
    }

    /// Where an x86 processor begins after a reset.
    private static let resetVector: UInt64 = 0xffff_fff0
    /// More instructions than QEMU puts into a block.
    private static let blockLimit: UInt64 = 512

    /// Matches a transition to the reset vector with the reset request at its position. The entries before the request at
    /// the same position share the transition.
    private mutating func matchReset(_ branch: Branch) -> Bool {
        let adjusted = branch.icount &- offset
        guard let first = pending, first.icount <= adjusted else { return false }
        var position = first.kind == .checkpointResetRequested ? first.icount : nil
        while position == nil, readAhead.last.map({ $0.icount <= adjusted }) ?? true, let event = read() {
            readAhead.append(event)
        }
        position = position ?? readAhead.first { $0.kind == .checkpointResetRequested }?.icount
        guard let position, adjusted &- position <= hiddenExceptions &+ 1 else { return false }
        passEntries(before: position)
        while let entry = pending, entry.kind != .checkpointResetRequested {
            result.eventsSharingTransition += 1
            advance()
        }
        result.restoredFaults &+= adjusted &- position
        hiddenExceptions = 0
        add(branch, .reset)
        return true
    }

    /// Matches a software interrupt with a late EXCEPTION: QEMU has counted the rest of the block of an `into`.
    private mutating func matchLate(_ branch: Branch, _ adjusted: UInt64) -> Bool {
        guard seesEverything, let entry = pending, entry.kind == .exception, entry.icount &- adjusted < Self.blockLimit
        else { return false }
        result.uncounted &+= entry.icount &- adjusted
        add(branch, .softwareInterrupt)
        return true
    }

    /// The pending EXCEPTION was this indirect branch's: its target could not be fetched.
    private mutating func accept(_ branch: Branch) {
        tentative = nil
        add(branch, .exception)
    }

    /// Adds the pending entry as the cause of this transition.
    private mutating func add(_ branch: Branch, _ kind: JoinedCauseKind) {
        result.causes.append(
            JoinedCause(
                clock: branch.clock, icount: branch.icount, kind: kind, from: branch.from, to: branch.to,
                restoredFaults: result.restoredFaults))
        matchedAt = pending?.icount
        advance()
    }

    // MARK: Entries

    /// Drops the entries below a position: no transition will come for them.
    private mutating func passEntries(before icount: UInt64) {
        while let entry = pending, entry.icount < icount {
            letGo(entry)
            advance()
        }
    }

    private mutating func letGo(_ entry: ReplayEvent) {
        if entry.icount == matchedAt {
            result.eventsSharingTransition += 1
        } else if seesEverything {
            result.eventsWithoutTransition += 1
            keep(.entry(entry), .noTransition)
            markLeftover()
        } else {
            result.eventsNotVisible += 1
            if entry.kind == .exception { hiddenExceptions &+= 1 }
        }
    }

    /// Keeps a leftover, up to the limit.
    private mutating func keep(_ what: JoinLeftover.What, _ reason: JoinLeftover.Reason) {
        guard result.leftovers.count < leftoverLimit else { return }
        result.leftovers.append(
            JoinLeftover(what: what, reason: offsetBeforeLeftover == nil ? reason : .followsLeftover))
    }

    private mutating func markLeftover() {
        if offsetBeforeLeftover == nil { offsetBeforeLeftover = offset }
    }

    /// Goes to the next entry before the shutdown that a transition shows.
    private mutating func advance() {
        pending = readAhead.isEmpty ? read() : readAhead.removeFirst()
    }

    /// Reads the next entry before the shutdown that a transition shows.
    private mutating func read() -> ReplayEvent? {
        while shutdown == nil, let event = entries.next() {
            lastIcount = event.icount
            switch event.kind {
            case .interrupt, .exception, .checkpointResetRequested:
                return event
            case .shutdownSnapshotLoad:
                continue  // a snapshot was loaded; the run continues
            default:
                if event.kind.isShutdown { shutdown = event }
            }
        }
        return nil
    }

    // MARK: The end

    /// Ends the join after the last transition. `clockEnd` is the clock after the last record that is compared at all,
    /// `instructions` the number of instructions begun in the whole run, if known.
    consuming func finish(clockEnd: UInt64, instructions: UInt64?) -> ReplayJoin {
        if let tentative { accept(tentative) }
        if endClock == nil { passRest(instructions: instructions) }
        if endClock != nil || (pending == nil && instructions.map { $0 >= endIcount } ?? false) {
            let known = offsetBeforeLeftover ?? offset
            var reason = shutdown.map { "QEMU's \($0.kind.rawValue)" } ?? "the last entry of an unfinished replay.bin"
            if known != offset { reason += ", taken early because the join has leftovers" }
            // An unfinished replay.bin may lack an interrupt at its last position: its event has one instruction less.
            let end = (shutdown?.icount ?? lastIcount) &+ known
            let icount = shutdown == nil && end > 0 ? end - 1 : end
            result.comparableEnd = (seesEverything ? endClock ?? clockEnd : clockEnd, icount, reason)
            if let cause = result.causes.last, matchedAt == shutdown?.icount ?? lastIcount {
                // A replay ends when it takes the last entry: before the handler's first instruction. It has no transition
                // then, so it does not know that a fault was restored.
                let unseen: UInt64 = shutdown == nil || cause.kind == .fault ? 1 : 0
                result.comparableEnd = (cause.clock, cause.icount &- unseen, reason)
            }
        }
        result.runEnd = runEnd(reached: result.comparableEnd != nil)
        return result
    }

    /// Why the run ended according to the replay.bin; nil if the run did not reach that entry.
    private func runEnd(reached: Bool) -> RunEnd? {
        if isReplay { return !reached ? nil : isComplete ? shutdown?.kind.runEnd ?? .unknown : .inputExhausted }
        if isKilled { return .killed }
        return reached && isComplete ? shutdown?.kind.runEnd ?? .unknown : nil
    }

    /// Handles the entries after the log's last transition. Those before the last instruction have no transition; for
    /// those at it, the transition is missing; those after it are not in the log.
    private mutating func passRest(instructions: UInt64?) {
        guard let instructions else { return }
        let reached = instructions &- offset
        passEntries(before: reached > 0 ? reached &- 1 : 0)
        while let entry = pending, entry.icount <= reached { advance() }
    }
}
