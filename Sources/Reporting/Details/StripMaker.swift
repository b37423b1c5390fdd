// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Compares the chunk directories of two logs, cell by cell. No body is read.
struct StripMaker {
    let original: LogFile
    let replay: LogFile
    let vcpu: UInt16
    /// The first clock of the original at which branches differ, and the first one at which events differ.
    let firstDifference: (branches: UInt64?, events: UInt64?)

    /// The largest number of stretches of a kind. Beyond it, neighbouring stretches are joined.
    static let stretchLimit = 1024

    typealias Stretch = DivergenceDocument.StripItem.Stretch

    /// The strip; nil if the logs have no records of this vCPU, or are cut into different cells.
    func strip() -> DivergenceDocument.StripItem? {
        let headers = (original.header, replay.header)
        guard headers.0.branchCellShift == headers.1.branchCellShift,
            headers.0.eventCellShift == headers.1.eventCellShift, headers.0.branchCellShift < 63
        else { return nil }
        let branches = stretches([.branch], shift: headers.0.branchCellShift, differsFrom: firstDifference.branches)
        let events = stretches(
            [.event, .access], shift: headers.0.eventCellShift, differsFrom: firstDifference.events)
        let all = branches + events
        guard let from = all.map(\.from.rawValue).min(), let to = all.map(\.to.rawValue).max() else { return nil }
        return DivergenceDocument.StripItem(
            vcpu: vcpu, from: Counter(from), to: Counter(to), cell: Counter(1 << UInt64(headers.0.branchCellShift)),
            branches: branches, events: events)
    }

    // MARK: Cells

    /// What the directories of both logs have in one cell.
    private struct Cell {
        var number: UInt64
        var chunks: (original: [Chunk], replay: [Chunk]) = ([], [])
    }

    private func stretches(_ streams: [LogStream], shift: UInt8, differsFrom: UInt64?) -> [Stretch] {
        let found = cells(streams).compactMap { stretch($0, shift, differsFrom) }
        var joined: [Stretch] = []
        for next in found {
            if let last = joined.last, last.state == next.state, last.to == next.from {
                joined[joined.count - 1].append(next)
            } else {
                joined.append(next)
            }
        }
        while joined.count > Self.stretchLimit { joined = Self.halved(joined) }
        return joined
    }

    private func cells(_ streams: [LogStream]) -> [Cell] {
        var cells: [UInt64: Cell] = [:]
        for stream in streams {
            for chunk in original.chunks(stream, vcpu: vcpu) {
                cells[chunk.cell, default: Cell(number: chunk.cell)].chunks.original.append(chunk)
            }
            for chunk in replay.chunks(stream, vcpu: vcpu) {
                cells[chunk.cell, default: Cell(number: chunk.cell)].chunks.replay.append(chunk)
            }
        }
        return cells.values.sorted { $0.number < $1.number }
    }

    private func stretch(_ cell: Cell, _ shift: UInt8, _ differsFrom: UInt64?) -> Stretch? {
        let (a, b) = cell.chunks
        guard let from = (a + b).map(\.clockFirst).min(), let last = (a + b).map(\.clockLast).max(), from <= last,
            last < .max
        else { return nil }
        let start = cell.number << UInt64(shift)
        let end = start &+ (1 << UInt64(shift))
        // The end of the cell, unless both logs end or begin inside it.
        let isInside = start <= from && last < end && end > start
        let isPartial = (a + b).contains { $0.flags.contains(.partialTail) || $0.flags.contains(.partialHead) }
        let bounds = isInside && !isPartial ? (start, end) : (from, last + 1)
        return Stretch(
            from: Counter(bounds.0), to: Counter(bounds.1), state: state(a, b, last, differsFrom),
            original: Counter(Self.count(a)), replay: Counter(Self.count(b)))
    }

    private func state(
        _ a: [Chunk], _ b: [Chunk], _ last: UInt64, _ differsFrom: UInt64?
    ) -> DivergenceDocument.StripItem.State {
        if a.isEmpty { return .replayOnly }
        if b.isEmpty { return .originalOnly }
        let isEqual =
            a.count == b.count
            && zip(a, b).allSatisfy { a, b in
                a.stream == b.stream && a.count == b.count && a.digests.path == b.digests.path
                    && a.digests.payload == b.digests.payload
                    && (a.stream == .branch || a.digests.position == b.digests.position)
            }
        if isEqual { return .equal }
        guard let differsFrom, differsFrom <= last else { return .notCompared }
        return .different
    }

    private static func count(_ chunks: [Chunk]) -> UInt64 { chunks.reduce(0) { $0 &+ UInt64($1.count) } }

    /// Joins pairs of neighbours. A difference in one of them makes the pair different.
    private static func halved(_ stretches: [Stretch]) -> [Stretch] {
        stride(from: 0, to: stretches.count, by: 2).map { index in
            var stretch = stretches[index]
            guard index + 1 < stretches.count else { return stretch }
            let next = stretches[index + 1]
            stretch.append(next)
            if next.state != .equal, stretch.state != .different { stretch.state = next.state }
            return stretch
        }
    }
}

extension DivergenceDocument.StripItem.Stretch {
    /// Adds the stretch that follows; the state stays.
    fileprivate mutating func append(_ next: Self) {
        to = next.to
        original = Counter(original.rawValue &+ next.original.rawValue)
        replay = Counter(replay.rawValue &+ next.replay.rawValue)
    }
}
