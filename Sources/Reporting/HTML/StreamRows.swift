// SPDX-License-Identifier: GPL-2.0-or-later

/// The branch streams of both runs around a divergence, side by side.
struct StreamRows {
    /// How the runs relate in a row.
    enum State: Int {
        /// Both runs have the record.
        case both
        /// Each record of the row is in its run only.
        case different
        /// The other run's record is beyond the context.
        case unknown
    }

    /// A list of the document in which a record is.
    enum List: Int, CaseIterable {
        case commonBranches, originalBranches, replayBranches, commonEvents, originalEvents, replayEvents

        /// The list's place below the divergence.
        var path: String {
            switch self {
            case .commonBranches: "lastCommonBranches"
            case .originalBranches: "originalNext/branches"
            case .replayBranches: "replayNext/branches"
            case .commonEvents: "lastCommonEvents"
            case .originalEvents: "originalNext/events"
            case .replayEvents: "replayNext/events"
            }
        }

        var isOfEvents: Bool { rawValue >= List.commonEvents.rawValue }
    }

    /// A record, by its place in the document.
    struct Item: Hashable {
        var list: List
        var index: Int
    }

    /// A row: the same record of both runs, or a record of each run, or of one.
    struct Row {
        var state: State
        var original: Item?
        var replay: Item?
    }

    let divergence: DivergenceDocument.DivergenceItem
    private(set) var rows: [Row] = []
    /// The first row after the divergence.
    private(set) var divergenceRow = 0
    /// The next event of each run.
    private var pending = (original: 0, replay: 0)

    init(_ divergence: DivergenceDocument.DivergenceItem) {
        self.divergence = divergence
        addCommon()
        divergenceRow = rows.count
        addNext()
    }

    // MARK: Before the divergence

    private mutating func addCommon() {
        let (branches, events) = (divergence.lastCommonBranches, divergence.lastCommonEvents)
        let first = branches.first?.brctr.rawValue ?? 0
        var event = events.firstIndex { $0.brctr.rawValue >= first } ?? events.count
        for (index, branch) in branches.enumerated() {
            while event < events.count, events[event].brctr.rawValue <= branch.brctr.rawValue {
                rows.append(Row(state: .both, original: Item(list: .commonEvents, index: event)))
                event += 1
            }
            rows.append(Row(state: .both, original: Item(list: .commonBranches, index: index)))
        }
        while event < events.count {
            rows.append(Row(state: .both, original: Item(list: .commonEvents, index: event)))
            event += 1
        }
    }

    // MARK: From the divergence on

    private mutating func addNext() {
        let (a, b) = (divergence.originalNext.branches, divergence.replayNext.branches)
        var places = (0, 0)
        // The regions that differ, as numbers of branches, each with the equal branches before it.
        for (agreed, i, j) in steps {
            for _ in 0..<min(agreed, a.count - places.0, b.count - places.1) {
                add(.both, places.0, places.1)
                places = (places.0 + 1, places.1 + 1)
            }
            let ends = (min(a.count, places.0 + i), min(b.count, places.1 + j))
            while places.0 < ends.0 || places.1 < ends.1 {
                addDiffering(places.0 < ends.0 ? places.0 : nil, places.1 < ends.1 ? places.1 : nil)
                places = (min(ends.0, places.0 + 1), min(ends.1, places.1 + 1))
            }
        }
        for index in places.0..<max(places.0, a.count) { addRest(Item(list: .originalBranches, index: index), nil) }
        for index in places.1..<max(places.1, b.count) { addRest(nil, Item(list: .replayBranches, index: index)) }
        // Events after the last branches are out of the picture, unless there are no branches.
        flush(a.last?.brctr.rawValue ?? .max, b.last?.brctr.rawValue ?? .max)
    }

    /// Equal branches, then branches of each side that differ.
    private var steps: [(agreed: Int, original: Int, replay: Int)] {
        guard let path = divergence.path else { return [(0, .max >> 1, .max >> 1)] }
        var steps: [(Int, Int, Int)] = []
        var agreed = Int(clamping: path.agreedBefore.rawValue)
        for region in path.regions + [path.openRegion].compactMap({ $0 }) {
            steps.append(
                (
                    min(agreed, 1 << 40), Self.count(region.originalFrom, region.originalTo),
                    Self.count(region.replayFrom, region.replayTo)
                ))
            agreed = Int(clamping: region.agreedBranches.rawValue)
        }
        steps.append((min(agreed, 1 << 40), path.isCut ? 1 << 40 : 0, path.isCut ? 1 << 40 : 0))
        return steps
    }

    private static func count(_ from: Counter, _ to: Counter) -> Int {
        min(Int(clamping: to.rawValue >= from.rawValue ? to.rawValue - from.rawValue : 0), 1 << 40)
    }

    private mutating func add(_ state: State, _ original: Int, _ replay: Int) {
        flush(
            divergence.originalNext.branches[original].brctr.rawValue,
            divergence.replayNext.branches[replay].brctr.rawValue)
        rows.append(
            Row(
                state: state, original: Item(list: .originalBranches, index: original),
                replay: Item(list: .replayBranches, index: replay)))
    }

    private mutating func addRest(_ original: Item?, _ replay: Item?) {
        rows.append(Row(state: .unknown, original: original, replay: replay))
    }

    private mutating func addDiffering(_ original: Int?, _ replay: Int?) {
        flush(
            original.map { divergence.originalNext.branches[$0].brctr.rawValue },
            replay.map { divergence.replayNext.branches[$0].brctr.rawValue })
        rows.append(
            Row(
                state: .different, original: original.map { Item(list: .originalBranches, index: $0) },
                replay: replay.map { Item(list: .replayBranches, index: $0) }))
    }

    /// Adds the events up to a clock of each run; events that are equal have one row.
    private mutating func flush(_ original: UInt64?, _ replay: UInt64?) {
        let (a, b) = (divergence.originalNext.events, divergence.replayNext.events)
        while true {
            let i = StreamRows.next(a, pending.original, original)
            let j = StreamRows.next(b, pending.replay, replay)
            guard i != nil || j != nil else { return }
            let isSame = if let i, let j { a[i].isSame(b[j]) } else { false }
            rows.append(
                Row(
                    state: isSame ? .both : .different, original: i.map { Item(list: .originalEvents, index: $0) },
                    replay: j.map { Item(list: .replayEvents, index: $0) }))
            pending = (pending.original + (i == nil ? 0 : 1), pending.replay + (j == nil ? 0 : 1))
        }
    }

    /// The next event of a run up to a clock; nil if there is none.
    private static func next(_ events: [DivergenceDocument.EventItem], _ index: Int, _ clock: UInt64?) -> Int? {
        guard let clock, index < events.count, events[index].brctr.rawValue <= clock else { return nil }
        return index
    }
}

extension DivergenceDocument.EventItem {
    /// The same event, at any time.
    fileprivate func isSame(_ other: Self) -> Bool {
        kind == other.kind && ip == other.ip && info == other.info && address == other.address && values == other.values
            && details == other.details
    }
}
