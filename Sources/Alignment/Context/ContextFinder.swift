// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Collects the records around a divergence: the last common records, what each side did next, the open calls, the
/// last inputs, and where the runs take the same path again.
struct ContextFinder {
    let original: LogFile
    let replay: LogFile
    let options: AlignmentOptions
    let features: FileHeader.Features

    /// - Parameters:
    ///   - stretch: the stretch of the branch streams that contains the divergence.
    ///   - event: the first difference between the events of that vCPU.
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

        let events = CommonEvents(
            original: original, replay: replay, vcpu: vcpu, clock: clock, replayClock: replayClock,
            common: commonAtClock(divergence, clock, event, stretch))
        context.lastEvents = events.last(count)
        context.original.nextEvents = events.next(.original, count)
        context.replay.nextEvents = events.next(.replay, count)

        complete(position: &divergence.original, context.lastBranches.last, context.original.nextBranches.first)
        let replayLast = branches(replay, vcpu, before: replayClock, count: 1).last
        complete(position: &divergence.replay, replayLast, context.replay.nextBranches.first)
        context.running = events.running()
        context.lastInputs = events.lastInputs(options.inputCount, at: divergence.original)

        if features.contains(.branches) {
            findStacks(vcpu, clock, replayClock, &context)
            if let stretch, divergence.difference?.isExact == true {
                let finder = RegionFinder(original: original, replay: replay, stretch: stretch, vcpu: vcpu)
                context.path = try finder.find(from: clock)
            }
        }
        divergence.context = context
    }

    /// Completes a position from the branches around it.
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

    // MARK: Events

    /// The number of events at the divergence's clock that both runs have; nil for all.
    private func commonAtClock(
        _ divergence: Divergence, _ clock: UInt64, _ event: FirstDifference?, _ stretch: BranchComparison.Stretch?
    ) -> Int? {
        let order = ElementOrder(skew: stretch?.skew ?? .none)
        // Events at the clock of a branch that differs are common, up to the first one that differs.
        let isEventToo = divergence.difference?.stream == .branch && event?.clock == clock
        let difference = isEventToo ? event : divergence.difference
        guard let difference else {
            let log = divergence.verdict == .originalEndedEarly ? original : replay
            let own = divergence.verdict == .originalEndedEarly ? clock : clock &+ divergence.clockSkew
            return CommonEvents.events(log, divergence.vcpu, at: own).count
        }
        guard let first = order.firstEvent(difference) else { return difference.stream == .branch ? nil : 0 }
        let logs = first.side == .original ? (original, replay) : (replay, original)
        let skew = first.side == .original ? divergence.clockSkew : 0 &- divergence.clockSkew
        let events = CommonEvents.events(logs.0, divergence.vcpu, at: first.event.clock)
        let index = events.firstIndex { $0.stream == first.event.stream && $0.ordinal >= first.event.ordinal }
        guard difference.differenceClass != .state else {
            return events.prefix { ($0.icount, $0.ordinal) < (first.event.icount, first.event.ordinal) }.count
        }
        guard let index, index > 0, first.event.kind.isCause, events[index - 1].kind == .discontinuity else {
            return index ?? events.count
        }
        // The discontinuity belongs to its cause, unless both runs have it.
        let others = CommonEvents.events(logs.1, divergence.vcpu, at: first.event.clock &+ skew)
        return others.count >= index && others[index - 1].kind == .discontinuity ? index : index - 1
    }

    // MARK: Calls

    private func findStacks(
        _ vcpu: UInt16, _ clock: UInt64, _ replayClock: UInt64, _ context: inout DivergenceContext
    ) {
        let first = StackFinder(original, vcpu: vcpu, reach: options.stackReach)
        let second = StackFinder(replay, vcpu: vcpu, reach: options.stackReach)
        let lists = [context.original.nextBranches, context.replay.nextBranches]
        if clock == replayClock {
            // The runs have one history: the log that holds more of it has both stacks.
            let found = (second.start < first.start ? second : first).find(before: clock, then: lists)
            (context.original.stack, context.replay.stack) = (found.stack, found.stack)
            (context.original.laterFrames, context.replay.laterFrames) = (found.later[0], found.later[1])
        } else {
            let found = first.find(before: clock, then: [lists[0]])
            let other = second.find(before: replayClock, then: [lists[1]])
            (context.original.stack, context.original.laterFrames) = (found.stack, found.later[0])
            (context.replay.stack, context.replay.laterFrames) = (other.stack, other.later[0])
            if context.replay.stack.frames.count < context.original.stack.frames.count {
                context.replay.stack = context.original.stack
            }
        }
        context.commonFrames =
            zip(context.original.laterFrames, context.replay.laterFrames)
            .prefix { $0.isSame($1) }.count
    }
}
