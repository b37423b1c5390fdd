// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The order in which the elements of a run happen: by clock, by instruction count if both logs count instructions, then
/// state digests before events before the transition, then by stream and ordinal.
///
/// A branch and an event at one clock are ordered by the instruction count, because a branch that only one run takes can
/// come before an event that only the other run has: the event is then its effect.
struct ElementOrder {
    /// The offsets of the replay's counters from the original's.
    var skew: Skew

    /// Whether a difference comes before another one.
    func precedes(_ a: FirstDifference, _ b: FirstDifference) -> Bool {
        if a.clock != b.clock { return a.clock < b.clock }
        switch (a.stream == .branch, b.stream == .branch) {
        case (true, true): return a.differenceClass.precedence < b.differenceClass.precedence
        case (false, true): return eventPrecedes(a, branch: b)
        case (true, false): return !eventPrecedes(b, branch: a)
        case (false, false): break
        }
        let (x, y) = (firstEvent(a), firstEvent(b))
        if let i = x.flatMap(icount), let j = y.flatMap(icount), i != j { return i < j }
        let isState = (a.differenceClass == .state, b.differenceClass == .state)
        if isState.0 != isState.1 { return isState.0 }
        if a.stream != b.stream { return a.stream.rawValue < b.stream.rawValue }
        return (x?.event.ordinal ?? 0) < (y?.event.ordinal ?? 0)
    }

    // MARK: Events and branches

    /// Whether a difference between events comes before a difference between the branches of the same clock.
    ///
    /// An event that both runs have is before both branches. An event of one run competes with the branch of the other
    /// run. It comes first if its instruction is not after the instruction that branches. If both runs leave the same
    /// instruction, the event is the cause: an interrupt that sends one run to its handler.
    private func eventPrecedes(_ difference: FirstDifference, branch: FirstDifference) -> Bool {
        switch difference.differenceClass {
        case .state, .payload: return true
        case .event, .path, .instruction, .instructionCount: break
        }
        guard let first = firstEvent(difference), let count = icount(first),
            case .branch(let own) = branch.element(first.side),
            case .branch(let other) = branch.element(first.side.other)
        else { return true }
        let ownCount = own.icount &- skew(first.side).icount
        let otherCount = other.icount &- skew(first.side.other).icount
        if own.from == other.from, ownCount == otherCount { return true }
        // `icount` of a branch counts its own instruction, unless an interrupt makes the transition.
        let position = other.label.isDiscontinuity ? otherCount : otherCount &- 1
        return count <= position
    }

    private func skew(_ side: Side) -> Skew {
        switch side {
        case .original: .none
        case .replay: skew
        }
    }

    private func icount(_ found: (event: Event, side: Side)) -> UInt64? {
        found.event.validity.contains(.icount) ? found.event.icount &- skew(found.side).icount : nil
    }

    /// The earlier of the two records of a difference between events.
    func firstEvent(_ difference: FirstDifference) -> (event: Event, side: Side)? {
        var found: [(event: Event, side: Side)] = []
        for side in Side.allCases {
            if case .event(let event) = difference.element(side) { found.append((event, side)) }
        }
        return found.min { a, b in
            let (x, y) = (a.event.clock &- skew(a.side).clock, b.event.clock &- skew(b.side).clock)
            if x != y { return x < y }
            guard let i = icount(a), let j = icount(b) else { return false }
            return i < j
        }
    }
}

extension FirstDifference {
    /// The record of a side.
    func element(_ side: Side) -> Element? {
        switch side {
        case .original: original
        case .replay: replay
        }
    }
}

extension FirstDifference.Class {
    /// Of differences at one branch, the one that explains most comes first.
    fileprivate var precedence: Int {
        switch self {
        case .path: 0
        case .instruction: 1
        case .instructionCount: 2
        case .event, .payload, .state: 3
        }
    }
}
