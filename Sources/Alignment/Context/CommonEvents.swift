// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The events of both runs around a divergence, without state digests.
struct CommonEvents {
    let original: LogFile
    let replay: LogFile
    let vcpu: UInt16
    /// The clock of the divergence in each log.
    let clock: UInt64
    let replayClock: UInt64
    /// The number of events at that clock that both runs have; nil for all.
    let common: Int?

    private static let streams: [LogStream] = [.event, .access]
    /// Chunks of a stream that are searched backwards.
    private static let chunkLimit = 4096

    /// The events at a clock, in the order of the merged streams.
    static func events(_ log: LogFile, _ vcpu: UInt16, at clock: UInt64) -> [Event] {
        events(log, vcpu, from: clock, to: clock == .max ? .max : clock + 1)
    }

    private static func events(_ log: LogFile, _ vcpu: UInt16, from: UInt64, to: UInt64) -> [Event] {
        var cursor = log.events(streams, vcpu: vcpu, from: from, to: to)
        var found: [Event] = []
        while let event = cursor.next() {
            if event.kind != .state { found.append(event) }
        }
        return found
    }

    private func side(_ side: Side) -> (log: LogFile, clock: UInt64) {
        switch side {
        case .original: (original, clock)
        case .replay: (replay, replayClock)
        }
    }

    /// The common events at the divergence's clock.
    private func commonAtClock(_ side: Side) -> [Event] {
        let (log, clock) = self.side(side)
        let events = CommonEvents.events(log, vcpu, at: clock)
        return Array(events.prefix(common ?? events.count))
    }

    /// The last events that both runs have, in the original's count.
    func last(_ count: Int) -> [Event] {
        var distance: UInt64 = 1 << 10
        let atClock = commonAtClock(.original)
        while true {
            let first = clock > distance ? clock - distance : 0
            let found = CommonEvents.events(original, vcpu, from: first, to: clock) + atClock
            if found.count >= count || first == 0 || distance > 1 << 32 { return Array(found.suffix(count)) }
            distance <<= 4
        }
    }

    /// The events of a side from the divergence on.
    func next(_ side: Side, _ count: Int) -> [Event] {
        let (log, clock) = self.side(side)
        var cursor = log.events(CommonEvents.streams, vcpu: vcpu, from: clock, to: .max)
        var found: [Event] = []
        var skipped = 0
        while found.count < count, let event = cursor.next() {
            if event.kind == .state { continue }
            if event.clock == clock, skipped < common ?? .max {
                skipped += 1
                continue
            }
            found.append(event)
        }
        return found
    }

    // MARK: Inputs

    /// The last inputs before a position, the nearest first.
    func lastInputs(_ count: Int, at position: RunPosition) -> [ConsumedInput] {
        let inputs = (lastInputs(.original, count), lastInputs(.replay, count))
        var found: [ConsumedInput] = []
        for (index, event) in inputs.0.enumerated() {
            // The runs have the same events up to here, so the inputs correspond from the end backwards.
            let other = index < inputs.1.count && inputs.1[index].kind == event.kind ? inputs.1[index] : nil
            let isCounted = event.validity.contains(.icount)
            let instructions = isCounted ? position.icount.map { $0 &- event.icount } : nil
            found.append(
                ConsumedInput(
                    original: event, replay: other, transitions: position.clock &- event.clock,
                    instructions: instructions))
        }
        return found
    }

    /// Whose code both runs executed at the divergence; nil if no context event shows it.
    func running() -> RunningCode? {
        if let event = commonAtClock(.original).last(where: { $0.kind == .context }) { return RunningCode(event) }
        return CommonEvents.last(original, .event, vcpu, before: clock, 1, where: { $0 == .context }).first
            .flatMap(RunningCode.init)
    }

    /// The last inputs of a side, the latest first.
    private func lastInputs(_ side: Side, _ count: Int) -> [Event] {
        var found = commonAtClock(side).filter(\.kind.isInput)
        let (log, clock) = self.side(side)
        for stream in CommonEvents.streams {
            found += CommonEvents.last(log, stream, vcpu, before: clock, count, where: \.isInput)
        }
        found.sort { a, b in
            if a.clock != b.clock { return a.clock > b.clock }
            if a.icount != b.icount { return a.icount > b.icount }
            if a.stream != b.stream { return a.stream.rawValue > b.stream.rawValue }
            return a.ordinal > b.ordinal
        }
        return Array(found.prefix(count))
    }

    /// The last events of some kinds before a clock, the latest first.
    private static func last(
        _ log: LogFile, _ stream: LogStream, _ vcpu: UInt16, before clock: UInt64, _ count: Int,
        where isWanted: (EventKind) -> Bool
    ) -> [Event] {
        var found: [Event] = []
        var batch = EventBatch()
        for chunk in log.chunks(stream, vcpu: vcpu).reversed().prefix(chunkLimit) where chunk.clockFirst < clock {
            guard (try? log.decode(chunk, into: &batch)) != nil else { continue }
            for place in (0..<batch.count).reversed() where batch.clock(place) < clock && isWanted(batch.kind(place)) {
                found.append(batch[place])
                if found.count == count { return found }
            }
        }
        return found
    }
}
