// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A replay of the same run in another process, which runs ahead of a session and keeps checkpoints for it
/// (``CheckpointUse/ahead``).
public protocol ReplayAhead: AnyObject {
    /// Starts it unless it runs. Without it there are fewer checkpoints: it fails quietly.
    func start()
    /// Ends it in order if it runs: then the session can use its checkpoints.
    func end()
}

extension TravelSession {
    // MARK: Images

    /// Takes the checkpoints of earlier sessions, if there are any. The guest is at its first instruction, and its disks are
    /// as they were there.
    func openStore() throws {
        guard let part = side.prepared.part else { return }
        if part.isReady {
            do {
                var times = part.times
                times.keep(only: try side.keptStates(), unknown: checkpoints.seconds)
                checkpoints.times = times
                try side.restoreState(Checkpoints.name(0), icount: 0)
            } catch {
                // A session was killed while it kept one.
                part.clear()
                try side.restart()
                client = try DebuggerClient(side)
            }
        }
        if !part.isReady {
            try side.keepState(Checkpoints.name(0))
            checkpoints.times = CheckpointTimes()
            checkpoints.times.insert(0, seconds: 0)
            try part.setReady()
            part.times = checkpoints.times
        }
        current = EnginePlace(icount: 0)
        checkpoints.since = 0
    }

    /// Starts QEMU again with the checkpoints of another part if the way to a count is shorter from there.
    func usePart(for icount: UInt64) throws {
        guard let store = side.prepared.store else { return }
        let parts = store.parts.compactMap { number in store.times(of: number).map { (number: number, times: $0) } }
        let others = parts.map(\.times).sorted { $0.covered > $1.covered }
        let own = secondsFromHere(to: icount, others)
        guard own > checkpoints.changeCost else { return }
        var best = (part: -1, seconds: own - checkpoints.worthwhile)
        for part in parts where part.number != side.prepared.part?.number {
            guard let last = part.times.last(upTo: icount) else { continue }
            let seconds = checkpoints.changeCost + checkpoints.loadCost + seconds(from: last, to: icount, others)
            if seconds < best.seconds { best = (part.number, seconds) }
        }
        guard best.part >= 0 else { return }
        var part = store.open(best.part)
        if part == nil, let ahead, best.seconds < own - 2 * checkpoints.worthwhile {
            ahead.end()
            part = store.open(best.part)
        }
        if let part { try startAgain(with: part) }
        startAhead()
    }

    /// Starts QEMU again, at the first instruction: with the checkpoints of a part, or with those that it had.
    func startAgain(with part: CheckpointPart? = nil) throws {
        if let part { try side.restart(with: part) } else { try side.restart() }
        (checkpoints.times, checkpoints.since) = (CheckpointTimes(), 0)
        current = EnginePlace(icount: 0)
        client = try DebuggerClient(side)
        try openStore()
        try onRestart()
    }

    /// Lets the other process run ahead if there is something ahead.
    func startAhead() {
        guard let ahead, let store = side.prepared.store, store.covered < end else { return }
        ahead.start()
    }

    // MARK: The length of ways

    /// Seconds of the run between two counts, as far as this session or another one has measured them.
    private func seconds(from start: UInt64, to icount: UInt64, _ others: [CheckpointTimes] = []) -> Double {
        guard start < icount else { return 0 }
        for times in [checkpoints.times] + others {
            if let begin = times.seconds(at: start), let end = times.seconds(at: icount) { return end - begin }
        }
        return Double(icount - start) / checkpoints.rate
    }

    /// Seconds of the way to a count with the checkpoints that QEMU has.
    private func secondsFromHere(to icount: UInt64, _ others: [CheckpointTimes]) -> Double {
        let loaded = seconds(from: checkpoints.times.last(upTo: icount) ?? 0, to: icount, others) + checkpoints.loadCost
        return icount < current.icount ? loaded : min(loaded, seconds(from: current.icount, to: icount, others))
    }

    // MARK: Going to one

    /// Goes to a count before the present one, or to a checkpoint before it.
    func goBack(to icount: UInt64) throws {
        if !side.hasEnded, let count = checkpoints.times.last(upTo: icount), try side.canGoBack() {
            return try load(count)
        }
        try startAgain()
        if let count = checkpoints.times.last(upTo: icount), count > 0 { try load(count) }
    }

    private func load(_ count: UInt64) throws {
        let start = (cpu: side.processorTime, time: Clock.now())
        try side.restoreState(Checkpoints.name(count), icount: count)
        checkpoints.loadCost = side.processorTime - start.cpu
        current = EnginePlace(icount: count)
        checkpoints.since = 0
        onRestore(
            Checkpoint(
                icount: count, seconds: Clock.now() - start.time, processorSeconds: checkpoints.loadCost))
    }

    /// Goes forward to a checkpoint if that saves time.
    func skip(to icount: UInt64) throws {
        guard let count = checkpoints.times.last(upTo: icount), count > current.icount,
            seconds(from: current.icount, to: count) > 2 * checkpoints.loadCost, try side.canGoBack()
        else { return }
        try load(count)
    }

    // MARK: Keeping them

    /// Keeps a checkpoint if the way from the last one takes long enough.
    func keepCheckpoint(beforeVisit visit: UInt64) throws {
        guard checkpoints.isKept else { return }
        if checkpoints.counts.contains(current.icount) {
            checkpoints.since = 0
        } else if checkpoints.isDue(beforeVisit: isBefore(visit)) {
            try keepCheckpoint()
        }
    }

    /// Whether the guest is so near before a place that steps back from the place begin here.
    private func isBefore(_ visit: UInt64) -> Bool {
        current.icount < visit && Double(visit - current.icount) < 2 * Checkpoints.lead * checkpoints.rate
    }

    /// Keeps a checkpoint here.
    func keepCheckpoint() throws {
        guard checkpoints.isKept, !checkpoints.counts.contains(current.icount) else { return }
        guard try side.canGoBack() else {
            checkpoints.since = 0
            return
        }
        makeRoom()
        guard checkpoints.isKept else { return }
        while checkpoints.counts.count >= checkpoints.most, let least = checkpoints.leastUseful() {
            try side.dropState(Checkpoints.name(least))
            checkpoints.times.remove(least)
        }
        let start = (cpu: side.processorTime, time: Clock.now())
        try side.keepState(Checkpoints.name(current.icount))
        checkpoints.cost = side.processorTime - start.cpu
        checkpoints.times.insert(current.icount, seconds: checkpoints.since)
        checkpoints.times.covered = max(checkpoints.times.covered, current.icount)
        checkpoints.since = 0
        side.prepared.part?.times = checkpoints.times
        try onCheckpoint(
            Checkpoint(
                icount: current.icount, seconds: Clock.now() - start.time, processorSeconds: checkpoints.cost))
        if checkpoints.isMeasured { try load(current.icount) }
    }

    /// Finds out how many checkpoints there is room for. The images do not shrink: one that is dropped makes room in them.
    private func makeRoom() {
        guard let store = side.prepared.store, let part = side.prepared.part else { return }
        let own = store.bytes(of: part.number)
        let room = store.limit - min(store.limit, store.bytes - min(store.bytes, own))
        let each = max(1, own / UInt64(max(1, checkpoints.counts.count)))
        checkpoints.most = Int(clamping: max(3, room / each))
        // A session's own checkpoints are worth more than those of another one, which runs ahead.
        if checkpoints.isAhead, room / each < 3 { checkpoints.isKept = false }
    }

    /// Keeps checkpoints from here on, so that going back is quick.
    public func keepCheckpoints() throws {
        checkpoints.isKept = true
        try keepCheckpoint()
    }

    /// Seconds of the run between two checkpoints.
    public var checkpointSeconds: Double {
        get { checkpoints.seconds }
        set {
            checkpoints.seconds = newValue
            checkpoints.share = 1
        }
    }

    /// Goes through the whole run and keeps checkpoints where no session has kept them yet (``CheckpointUse/ahead``), or
    /// everywhere.
    ///
    /// The run goes on from each as from one that was loaded, so that their distance is what a way takes.
    public func keepCheckpointsToEnd(ahead: Bool) throws {
        (checkpoints.isMeasured, checkpoints.isAhead) = (true, ahead)
        // The checkpoints are what this session is for: what one costs does not put them farther apart.
        checkpoints.share = 1
        if ahead, let covered = side.prepared.store?.covered, covered > current.icount {
            checkpoints.isKept = false
            try runThrough(to: places.cleanStop(upTo: min(covered, end)))
            checkpoints.skipped = checkpoints.since
        }
        try keepCheckpoints()
        if checkpoints.isKept { try runThrough(to: end) }
        side.prepared.part?.times = checkpoints.times
    }
}
