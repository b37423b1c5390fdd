// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Classifies the first difference between two event streams: an event is missing, extra, or at another position.
///
/// The earlier of the two records is the first element that differs. Either the other side lacks it, or the other side
/// has the same event later. Each explanation removes records from the two sides; its score is how well the records
/// that follow fit together. Records that follow fit if they are at equal positions, at equal instruction counts (a
/// handler that runs on one side only shifts the clock, not the count at which a device interrupts), or at positions
/// that are off by the same distance as the pair before.
struct EventMatch {
    /// A record that follows, with its clock in the original's count.
    struct Candidate {
        var event: Event
        var clock: UInt64
        /// The offset of its instruction count from the original's.
        var icountSkew: UInt64

        var icount: UInt64? { event.validity.contains(.icount) ? event.icount &- icountSkew : nil }
    }

    /// missingEvent, extraEvent or movedEvent.
    let verdict: Verdict
    /// The original's record; nil if the replay has an extra event.
    let original: Event?
    /// The replay's record; nil if the replay lacks the event.
    let replay: Event?

    /// The number of pairs of records that an explanation is tried on.
    private static let depth = 32
    /// The number of records that can be missing, or passed by a moved event.
    private static let reach = 12

    /// Takes the records from the first difference on. At least one side has a record.
    init(original a: [Candidate], replay b: [Candidate]) {
        var best = (score: Int.min, explanation: Explanation.alone(.original, 1))
        func consider(_ explanation: Explanation, penalty: Int) {
            let score = EventMatch.score(explanation, a, b) - penalty
            if score > best.score { best = (score, explanation) }
        }
        func considerMove(_ i: Int, _ j: Int) {
            guard i < a.count, j < b.count, a[i].event.kind == b[j].event.kind else { return }
            // A moved read of a clock has another value at another address: allowed, and less likely.
            let strangeness = EventMatch.isSame(a[i], b[j]) ? 0 : EventMatch.reach
            consider(.moved(i, j), penalty: i + j + strangeness)
        }
        for side in EventMatch.first(a, b) {
            let own = side == .original ? a : b
            for count in 1...EventMatch.reach where count <= own.count {
                consider(.alone(side, count), penalty: count)
            }
            for index in 0..<EventMatch.reach {
                side == .original ? considerMove(0, index) : considerMove(index, 0)
            }
        }
        switch best.explanation {
        case .alone(.original, _): (verdict, original, replay) = (.missingEvent, a.first?.event, nil)
        case .alone(.replay, _): (verdict, original, replay) = (.extraEvent, nil, b.first?.event)
        case .moved(let i, let j):
            let (x, y) = (a[i], b[j])
            var instructions: Int64?
            if let from = x.icount, let to = y.icount { instructions = Int64(bitPattern: to &- from) }
            verdict = .movedEvent(transitions: Int64(bitPattern: y.clock &- x.clock), instructions: instructions)
            (original, replay) = (x.event, y.event)
        }
    }

    private enum Explanation {
        /// The first records of a side, this many, have no counterpart.
        case alone(Side, Int)
        /// The records with these indexes are the same event; one of the indexes is 0.
        case moved(Int, Int)
    }

    /// The side whose next record is the first element that differs. Both sides if the records are at one position.
    private static func first(_ a: [Candidate], _ b: [Candidate]) -> [Side] {
        guard let x = a.first else { return [.replay] }
        guard let y = b.first else { return [.original] }
        if x.clock != y.clock { return x.clock < y.clock ? [.original] : [.replay] }
        if let i = x.icount, let j = y.icount, i != j { return i < j ? [.original] : [.replay] }
        return [.original, .replay]
    }

    /// How well the records that an explanation leaves fit together.
    private static func score(_ explanation: Explanation, _ a: [Candidate], _ b: [Candidate]) -> Int {
        var (x, y) = (a[...], b[...])
        switch explanation {
        case .alone(.original, let count): x = x.dropFirst(count)
        case .alone(.replay, let count): y = y.dropFirst(count)
        case .moved(let i, let j):
            x = a[..<i] + a[(i + 1)...]
            y = b[..<j] + b[(j + 1)...]
        }
        var score = 0
        var distance = Distance()
        var (i, j) = (x.startIndex, y.startIndex)
        for _ in 0..<depth {
            switch (i < x.endIndex, j < y.endIndex) {
            case (true, true): score += worth(x[i], y[j], &distance)
            case (false, false): score += sure
            case (true, false), (false, true): break
            }
            if i < x.endIndex { i += 1 }
            if j < y.endIndex { j += 1 }
        }
        return score
    }

    /// How far a pair of records is apart.
    private struct Distance: Equatable {
        var clock: UInt64 = 0
        var icount: UInt64 = 0
    }

    /// The worth of a pair of records at one position: more than any penalty.
    private static let sure = 32

    /// The worth of a pair of records, from the distance of the pair before.
    private static func worth(_ a: Candidate, _ b: Candidate, _ distance: inout Distance) -> Int {
        let found = Distance(clock: b.clock &- a.clock, icount: (b.icount ?? 0) &- (a.icount ?? 0))
        defer { distance = found }
        guard a.event.kind == b.event.kind else { return 0 }
        let isSameIP = a.event.ip == b.event.ip
        if found == Distance(), isSameIP { return sure }
        guard isSame(a, b) else { return isSameIP ? 2 : 1 }
        if a.icount != nil, b.icount != nil, found.icount == 0 { return sure - 2 }
        if found == distance { return sure - 8 }
        return isSameIP ? sure / 4 : sure / 8
    }

    /// Whether two records can be one event at two positions.
    ///
    /// An interrupt can come at any instruction: its vector and handler identify it. Other events belong to their
    /// instruction; they are the same if they are at one address or carry the same contents.
    private static func isSame(_ a: Candidate, _ b: Candidate) -> Bool {
        let (x, y) = (a.event, b.event)
        guard x.kind == y.kind else { return false }
        let isSameInfo = x.info == y.info || x.kind == .discontinuity || x.info == .max || y.info == .max
        let isSameContents = x.payload == y.payload && isSameInfo
        switch x.kind {
        case .interrupt, .discontinuity, .upcall, .timeUpdate: return isSameContents
        default:
            return isSameContents
                || (x.validity.contains(.ip) && y.validity.contains(.ip) && x.ip == y.ip)
        }
    }
}
