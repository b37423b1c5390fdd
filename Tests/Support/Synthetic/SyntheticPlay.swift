// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// One execution of a ``SyntheticRun``: it runs the guest to the next occurrence, applies the occurrence, and
/// continues.
struct SyntheticPlay: ~Copyable {
    private(set) var counts = SyntheticRun.Counts()

    private let plan: SyntheticRun
    private let writer: LogWriter
    private let isReplay: Bool
    private let difference: PlantedDifference
    private var guest: SyntheticGuest
    private let buffer = UnsafeMutableBufferPointer<RawBranch>.allocate(capacity: 4096)
    private var events: Schedule
    private var accesses: Schedule
    /// An event that comes late, and when.
    private var delayed: (event: Event, clock: UInt64)?
    /// Transitions made: the replay's own clock is this plus the extra branches.
    private var clock: UInt64
    private var shift: UInt64 = 0

    init(_ plan: SyntheticRun, writer: LogWriter, isReplay: Bool, difference: PlantedDifference) {
        self.plan = plan
        self.writer = writer
        self.isReplay = isReplay
        self.difference = difference
        clock = plan.options.clockBase
        guest = SyntheticGuest(
            codeSeed: plan.seed, pathSeed: plan.seed &+ 1, icountBase: plan.options.icountBase)
        events = Schedule(seed: plan.seed &+ 2, mean: plan.eventsEvery, start: clock)
        accesses = Schedule(seed: plan.seed &+ 3, mean: plan.accessesEvery, start: clock)
    }

    deinit { buffer.deallocate() }

    /// The clock at which the comparable part of this log ends.
    private var end: UInt64 {
        let whole = plan.options.clockBase + plan.branches
        switch difference {
        case .replayEndsEarly(let clock) where isReplay: return min(whole, clock)
        case .originalEndsEarly(let clock) where !isReplay: return min(whole, clock)
        default: return whole
        }
    }

    mutating func run() {
        let end = end
        while clock < end {
            happen()
            if isReplay, clock == branchPlace { plant() } else { play(to: nextStop(before: end)) }
        }
        counts.branches = clock - plan.options.clockBase
        guard plan.tail > 0 else { return }
        writer.comparableEnd(clock: clock + shift, icount: guest.icount, reason: "synthetic shutdown")
        if isReplay { guest.depart() }
        play(to: clock + plan.tail * (isReplay ? 2 : 1))
        writer.runEnd(.guestShutdown, text: "synthetic")
    }

    /// The clock of the branch that the difference is about.
    private var branchPlace: UInt64? {
        switch difference {
        case .otherTarget(let clock), .departure(let clock), .extraBranches(let clock, _), .otherLabel(let clock),
            .moreInstructions(let clock, _):
            clock
        default: nil
        }
    }

    private func nextStop(before end: UInt64) -> UInt64 {
        var stop = min(end, due(events, .event), due(accesses, .access))
        if plan.statesEvery > 0 { stop = min(stop, (clock / plan.statesEvery + 1) * plan.statesEvery) }
        if let delayed { stop = min(stop, delayed.clock) }
        for place in [branchPlace, extraEventPlace?.clock] {
            if let place, place > clock { stop = min(stop, place) }
        }
        return stop
    }

    // MARK: Branches

    private mutating func play(to stop: UInt64) {
        while clock < stop {
            let count = Int(min(UInt64(buffer.count), stop - clock))
            guest.fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            writer.branches(UnsafeBufferPointer(rebasing: buffer[..<count]))
            clock += UInt64(count)
        }
    }

    /// Writes the branch at the clock as the difference wants it.
    private mutating func plant() {
        counts.plantedClock = clock
        if case .extraBranches(_, let count) = difference {
            for index in 0..<UInt64(count) {
                guest.skip(instructions: 1)
                writer.branch(
                    from: 0x70_0000 + 16 * index, to: 0x70_0010 + 16 * index, icount: guest.icount,
                    label: BranchLabel(.jmp, hasStaticTarget: true))
            }
            shift = UInt64(count)
        }
        if case .moreInstructions(_, let count) = difference { guest.skip(instructions: count) }
        guest.fill(UnsafeMutableBufferPointer(rebasing: buffer[..<1]))
        var branch = buffer[0]
        switch difference {
        case .otherTarget: branch.to &+= 0x40
        case .departure:
            branch.to &+= 0x40
            guest.depart()
        case .otherLabel: branch.icountLabel ^= UInt64(BranchClass.far.rawValue)
        default: break
        }
        withUnsafePointer(to: branch) { writer.branches(UnsafeBufferPointer(start: $0, count: 1)) }
        clock += 1
    }

    // MARK: Events

    private var extraEventPlace: (stream: LogStream, clock: UInt64)? {
        if isReplay, case .extraEvent(let stream, let clock) = difference { (stream, clock) } else { nil }
    }

    /// When the next event of a schedule is written: at its time, or before it when it is planted to come early.
    private func due(_ schedule: Schedule, _ stream: LogStream) -> UInt64 {
        guard isReplay, case .movedEvent(stream, let ordinal, let by) = difference, by < 0,
            ordinal == (stream == .event ? counts.events : counts.accesses)
        else { return schedule.next }
        let early = by.magnitude < schedule.next ? schedule.next - by.magnitude : 0
        return max(early, schedule.last + 1)
    }

    /// Applies everything at the clock: state digest, event, access.
    private mutating func happen() {
        if plan.statesEvery > 0, clock % plan.statesEvery == 0 {
            let isOther = isReplay && difference == .otherState(ordinal: counts.states)
            if difference == .otherState(ordinal: counts.states) { counts.plantedClock = clock }
            var event = makeEvent(.event, .state, info: 1)
            event.payload = Event.payload(words: [clock &* 0x9e37_79b9_7f4a_7c15 &+ (isOther ? 1 : 0)])
            event.validity.insert(.value)
            counts.states += 1
            counts.events += 1
            writer.event(event)
        }
        if due(events, .event) == clock {
            let event = makeEvent(.event, .interrupt, info: UInt32(32 + events.value % 4))
            let number = counts.events
            counts.events += 1
            emit(event, ordinal: number, planned: events.next)
            events.advance()
        }
        if due(accesses, .access) == clock {
            let event = makeEvent(.access, accesses.value % 3 == 0 ? .portRead : .rdtsc, info: 0)
            let number = counts.accesses
            counts.accesses += 1
            emit(event, ordinal: number, planned: accesses.next)
            accesses.advance()
        }
        if let place = extraEventPlace, place.clock == clock {
            counts.plantedClock = clock
            writer.event(makeEvent(place.stream, place.stream == .event ? .interrupt : .rdrand, info: 77))
        }
        if var late = delayed, late.clock == clock {
            delayed = nil
            counts.movedClock = clock + shift
            (late.event.clock, late.event.icount, late.event.ip) = (clock + shift, guest.icount, guest.place)
            writer.event(late.event)
        }
    }

    private func makeEvent(_ stream: LogStream, _ kind: EventKind, info: UInt32) -> Event {
        var event = Event(
            stream: stream, kind: kind, validity: [.ip, .icount], info: info, clock: clock + shift,
            icount: guest.icount, ip: guest.place)
        switch kind {
        case .interrupt:
            event.payload = Event.payload(words: [0xffff_ffff_8180_0000 + UInt64(info) * 16])
            event.validity.insert(.value)
        case .portRead:
            event.payload = Event.payload(words: [0x3f8, accesses.value])
            event.validity.formUnion([.address, .value])
        case .rdtsc:
            event.payload = Event.payload(words: [guest.icount &* 3])
            event.validity.insert(.value)
        default: break
        }
        return event
    }

    /// Writes an event, changed, late or not at all where the difference is about it.
    private mutating func emit(_ event: Event, ordinal: UInt64, planned: UInt64) {
        var event = event
        switch difference {
        case .missingEvent(event.stream, ordinal):
            counts.plantedClock = planned
            if isReplay { return }
        case .movedEvent(event.stream, ordinal, let by):
            counts.plantedClock = planned
            if isReplay, by > 0 {
                delayed = (event, planned + UInt64(by))
                return
            }
            if isReplay { counts.movedClock = clock }
        case .otherPayload(event.stream, ordinal):
            counts.plantedClock = planned
            if isReplay, let last = event.payload.indices.last { event.payload[last] ^= 1 }
        case .benign where isReplay && event.kind == .interrupt: event.info = .max
        default: break
        }
        writer.event(event)
    }
}

/// When the events of one stream come: at random distances.
private struct Schedule {
    private(set) var next: UInt64
    /// When the one before came.
    private(set) var last: UInt64
    /// A random number for the next event.
    private(set) var value: UInt64 = 0
    private let mean: UInt64
    private var numbers: RandomNumbers

    init(seed: UInt64, mean: UInt64, start: UInt64) {
        numbers = RandomNumbers(seed: seed)
        self.mean = mean
        (next, last) = (start, start)
        if mean == 0 { next = .max } else { advance() }
    }

    mutating func advance() {
        last = next
        next += 1 + numbers.below(2 * mean)
        value = numbers.next() & 0xff
    }
}
