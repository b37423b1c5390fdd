// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Collects what stands around a divergence: what both runs did last, what each did next, open calls, the last input,
/// and whether the runs meet again.
struct ContextFinder {
    let original: LogFile
    let replay: LogFile
    let options: AlignmentOptions
    let features: FileHeader.Features

    /// Branches that a call stack is rebuilt from at most.
    private static let stackReach: UInt64 = 131_072
    /// Branches behind a divergence in which the runs may meet again.
    private static let convergenceReach = 16_384
    /// Branches that are compared behind the place at which they meet.
    private static let agreementReach: UInt64 = 262_144

    /// - Parameter event: the first difference in events of that vCPU.
    func complete(
        _ divergence: inout Divergence, _ stretch: BranchComparison.Stretch?, event: FirstDifference?
    ) throws(LogError) {
        let vcpu = divergence.vcpu
        let clock = divergence.difference?.clock ?? divergence.original.clock
        let replayClock = clock &+ divergence.clockSkew
        let count = options.contextCount
        var context = DivergenceContext()
        context.lastBranches = branches(original, vcpu, before: clock, count: count)
        context.original.nextBranches = branches(original, vcpu, from: clock, count: count)
        context.replay.nextBranches = branches(replay, vcpu, from: replayClock, count: count)
        findEvents(divergence, clock, event, &context)
        let stack = stack(original, vcpu, before: clock)
        context.original.stack = stack
        context.replay.stack = stack
        complete(position: &divergence.original, context.lastBranches.last, context.original.nextBranches.first)
        let replayLast = branches(replay, vcpu, before: replayClock, count: 1).last
        complete(position: &divergence.replay, replayLast, context.replay.nextBranches.first)
        if let stretch, divergence.difference != nil { try findConvergence(stretch, clock, &context) }
        divergence.context = context
    }

    /// Fills in what the branches around a position tell of it.
    private func complete(position: inout RunPosition, _ last: Branch?, _ next: Branch?) {
        let hasIcounts = features.contains(.icount)
        if position.icount == nil, hasIcounts, let last, last.clock &+ 1 == position.clock {
            position.icount = last.icount
        }
        if position.ip == nil {
            position.ip = next.flatMap { $0.clock == position.clock ? $0.from : nil }
        }
    }

    // MARK: Branches

    private func branches(_ log: LogFile, _ vcpu: UInt16, before clock: UInt64, count: Int) -> [Branch] {
        let first = clock > UInt64(count) ? clock - UInt64(count) : 0
        return branches(log, vcpu, from: first, count: Int(clock - first))
    }

    private func branches(_ log: LogFile, _ vcpu: UInt16, from clock: UInt64, count: Int) -> [Branch] {
        let (end, overflows) = clock.addingReportingOverflow(UInt64(count))
        guard count > 0, !overflows else { return [] }
        var cursor = log.branches(vcpu: vcpu, from: clock, to: end)
        var found: [Branch] = []
        while found.count < count, let branch = cursor.next() { found.append(branch) }
        return found
    }

    private func stack(_ log: LogFile, _ vcpu: UInt16, before clock: UInt64) -> CallStack {
        let first = clock > ContextFinder.stackReach ? clock - ContextFinder.stackReach : 0
        return CallStack(log, vcpu: vcpu, clocks: first..<clock)
    }

    // MARK: Events

    /// The last common events and the next ones of each side, in the order of the merged streams.
    private func findEvents(
        _ divergence: Divergence, _ clock: UInt64, _ event: FirstDifference?, _ context: inout DivergenceContext
    ) {
        let vcpu = divergence.vcpu
        // Events at the clock of a branch that differs are common, unless they differ themselves.
        let isEventToo = divergence.difference?.stream == .branch && event?.clock == clock
        let difference = isEventToo ? event : divergence.difference
        let limit = firstOwn(difference?.original, clock)
        let replayLimit = firstOwn(difference?.replay, clock &+ divergence.clockSkew)
        let isBranch = difference?.stream == .branch && difference?.isExact == true
        let before = eventsBefore(original, vcpu, limit, includesClock: isBranch)
        context.lastEvents = Array(before.suffix(options.contextCount))
        context.lastInput = before.last { $0.kind.isInput } ?? lastInput(vcpu, before: limit.clock)
        context.original.nextEvents = eventsFrom(original, vcpu, limit, skipsClock: isBranch)
        context.replay.nextEvents = eventsFrom(replay, vcpu, replayLimit, skipsClock: isBranch)
    }

    /// Where a side stands at the divergence: at the record that differs, if that is an event at that clock.
    private struct Limit {
        var clock: UInt64
        var stream: LogStream?
        var ordinal: UInt64?
    }

    private func firstOwn(_ element: Element?, _ clock: UInt64) -> Limit {
        if case .event(let event) = element, event.clock == clock {
            return Limit(clock: clock, stream: event.stream, ordinal: event.ordinal)
        }
        return Limit(clock: clock)
    }

    private var streams: [LogStream] { [.event, .access] }

    /// Events of the chunks around a limit that stand before it.
    private func eventsBefore(
        _ log: LogFile, _ vcpu: UInt16, _ limit: Limit, includesClock: Bool
    ) -> [Event] {
        var distance: UInt64 = 1 << 10
        while true {
            let first = limit.clock > distance ? limit.clock - distance : 0
            let end = limit.clock == .max ? .max : limit.clock + 1
            var cursor = log.events(streams, vcpu: vcpu, from: first, to: end)
            var found: [Event] = []
            while let event = cursor.next() {
                if event.clock == limit.clock, !isBefore(event, limit, includesClock) { continue }
                found.append(event)
            }
            if found.count >= options.contextCount || first == 0 || distance > 1 << 32 { return found }
            if found.count > 1 << 16 { return found }
            distance <<= 4
        }
    }

    /// Whether an event at the limit's clock is common to both runs.
    private func isBefore(_ event: Event, _ limit: Limit, _ includesClock: Bool) -> Bool {
        guard let stream = limit.stream, let ordinal = limit.ordinal else { return includesClock }
        return event.stream == stream && event.ordinal < ordinal
    }

    private func eventsFrom(_ log: LogFile, _ vcpu: UInt16, _ limit: Limit, skipsClock: Bool) -> [Event] {
        var cursor = log.events(streams, vcpu: vcpu, from: limit.clock, to: .max)
        var found: [Event] = []
        while found.count < options.contextCount, let event = cursor.next() {
            if event.clock == limit.clock, skipsClock || isBefore(event, limit, false) { continue }
            found.append(event)
        }
        return found
    }

    /// Looks further back for an input, chunk by chunk.
    private func lastInput(_ vcpu: UInt16, before clock: UInt64) -> Event? {
        var best: Event?
        var batch = EventBatch()
        for stream in streams {
            for chunk in original.chunks(stream, vcpu: vcpu).reversed() where chunk.clockFirst < clock {
                if let best, chunk.clockLast < best.clock { break }
                guard (try? original.decode(chunk, into: &batch)) != nil else { continue }
                let place = (0..<batch.count).last { batch.clock($0) < clock && batch.kind($0).isInput }
                guard let place else { continue }
                let event = batch[place]
                if best.map({ $0.clock < event.clock }) ?? true { best = event }
                break
            }
        }
        return best
    }

    // MARK: Meeting again

    private func findConvergence(
        _ stretch: BranchComparison.Stretch, _ clock: UInt64, _ context: inout DivergenceContext
    ) throws(LogError) {
        guard stretch.clocks.contains(clock) else { return }
        let reach = UInt64(ContextFinder.convergenceReach)
        let replayClock = clock &+ stretch.skew.clock
        let a = try ContentSearch.read(original, stretch.original, window(clock, reach))
        let b = try ContentSearch.read(replay, stretch.replay, window(replayClock, reach))
        context.branchesSearched = UInt64(min(a.count, b.count))
        guard let meeting = ContentSearch.meeting(a, b) else { return }
        let (i, j) = (UInt64(meeting.a), UInt64(meeting.b))
        let x = try ContentSearch.read(original, stretch.original, window(clock &+ i, ContextFinder.agreementReach))
        let y = try ContentSearch.read(replay, stretch.replay, window(replayClock &+ j, ContextFinder.agreementReach))
        let agreed = zip(x, y).prefix { $0.from == $1.from && $0.to == $1.to }.reduce(0) { count, _ in count + 1 }
        context.convergence = Convergence(
            originalBranches: i, replayBranches: j, agreed: UInt64(agreed),
            isOpenEnded: agreed == min(x.count, y.count))
    }

    private func window(_ start: UInt64, _ count: UInt64) -> Range<UInt64> {
        let (end, overflows) = start.addingReportingOverflow(count)
        return start..<(overflows ? .max : end)
    }
}
