// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Tells what happened where two event streams stop agreeing: an event is missing, there is one more, or it stands
/// elsewhere.
///
/// Each explanation is tried on the records that follow: it removes some records from one side, or moves one, and is
/// worth as much as the rest then fits together. The simplest of the best explanations holds.
struct EventMatch {
    /// A record that follows, its clock in the original's count.
    struct Candidate {
        var event: Event
        var clock: UInt64
        /// By what its instruction count is off.
        var icountSkew: UInt64

        var icount: UInt64? { event.validity.contains(.icount) ? event.icount &- icountSkew : nil }
    }

    /// missingEvent, extraEvent or movedEvent.
    private(set) var verdict: Verdict
    /// The event that is missing in the replay or stands elsewhere there.
    private(set) var original: Event?
    private(set) var replay: Event?

    /// So many pairs of records judge an explanation.
    private static let depth = 16
    /// So many records may be missing or passed by at once.
    private static let reach = 12

    /// Takes the records from the first difference on; they are not both empty.
    init(original a: [Candidate], replay b: [Candidate]) {
        var best = (score: Int.min, explanation: EventMatch.fallback(a, b))
        func consider(_ explanation: Explanation, penalty: Int) {
            let score = EventMatch.score(explanation, a, b) - penalty
            if score > best.score { best = (score, explanation) }
        }
        func considerMove(_ i: Int, _ j: Int) {
            guard i < a.count, j < b.count, a[i].event.kind == b[j].event.kind else { return }
            let strangeness = EventMatch.isSame(a[i], b[j]) ? 0 : EventMatch.reach
            consider(.moved(i, j), penalty: i + j + strangeness)
        }
        considerMove(0, 0)
        for count in 1...EventMatch.reach {
            if count <= a.count { consider(.missing(count), penalty: count) }
            if count <= b.count { consider(.extra(count), penalty: count) }
        }
        for index in 1...EventMatch.reach {
            considerMove(0, index)
            considerMove(index, 0)
        }
        switch best.explanation {
        case .missing:
            verdict = .missingEvent
            original = a.first?.event
        case .extra:
            verdict = .extraEvent
            replay = b.first?.event
        case .moved(let i, let j):
            let (x, y) = (a[i], b[j])
            var instructions: Int64?
            if let from = x.icount, let to = y.icount { instructions = Int64(bitPattern: to &- from) }
            verdict = .movedEvent(transitions: Int64(bitPattern: y.clock &- x.clock), instructions: instructions)
            original = x.event
            replay = y.event
        }
    }

    private enum Explanation {
        /// So many records at the head of the original are not in the replay.
        case missing(Int)
        case extra(Int)
        /// These two records are the same event; one of the indexes is 0.
        case moved(Int, Int)
    }

    /// What is said when nothing fits: the earlier record stands alone.
    private static func fallback(_ a: [Candidate], _ b: [Candidate]) -> Explanation {
        guard let x = a.first else { return .extra(1) }
        guard let y = b.first else { return .missing(1) }
        return y.clock < x.clock ? .extra(1) : .missing(1)
    }

    /// How well the records behind an explanation fit together.
    private static func score(_ explanation: Explanation, _ a: [Candidate], _ b: [Candidate]) -> Int {
        var (x, y) = (a[...], b[...])
        switch explanation {
        case .missing(let count): x = x.dropFirst(count)
        case .extra(let count): y = y.dropFirst(count)
        case .moved(let i, let j):
            x = a[..<i] + a[(i + 1)...]
            y = b[..<j] + b[(j + 1)...]
        }
        var score = 0
        var (i, j) = (x.startIndex, y.startIndex)
        for _ in 0..<depth {
            switch (i < x.endIndex, j < y.endIndex) {
            case (true, true): score += worth(x[i], y[j])
            case (false, false): score += sure
            default: break
            }
            if i < x.endIndex { i += 1 }
            if j < y.endIndex { j += 1 }
        }
        return score
    }

    /// What a pair of records at the same place is worth: more than any penalty.
    private static let sure = 32

    /// Much for records at the same place, less for those that may be the same thing elsewhere, 0 for strangers.
    private static func worth(_ a: Candidate, _ b: Candidate) -> Int {
        guard a.event.kind == b.event.kind else { return 0 }
        let isSameIP = a.event.ip == b.event.ip
        if a.clock == b.clock, isSameIP, a.icount == b.icount { return sure }
        if isSameIP, a.event.info == b.event.info { return sure / 2 }
        return isSame(a, b) ? sure / 8 : 0
    }

    /// Whether two records can be one event that happened in two places: what it carries is the same, or it stands at
    /// the same instruction.
    private static func isSame(_ a: Candidate, _ b: Candidate) -> Bool {
        let (x, y) = (a.event, b.event)
        guard x.kind == y.kind else { return false }
        if x.validity.contains(.ip), y.validity.contains(.ip), x.ip == y.ip { return true }
        return x.payload == y.payload && (x.info == y.info || x.kind == .discontinuity)
    }
}
