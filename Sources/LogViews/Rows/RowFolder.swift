// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A row that may read like another one, apart from its position.
protocol FoldableRow {
    /// The branch counter of the row.
    var clock: UInt64 { get }
    /// Whether both rows show the same, apart from their positions.
    func reads(like other: Self) -> Bool
}

/// Folds consecutive repetitions of a row, or of a group of up to 8 rows, such as the branches of a loop.
///
///     folder.add(row)
///     for line in folder.take() { … }
///     folder.finish()
///     for line in folder.take() { … }
///
/// A group is folded if it repeats at least 3 times in a row and if its branch counters advance by the same step each time:
/// row *i* of repetition *k* is at the shown counter of row *i* plus *k* times the step. No position is lost.
///
/// The folder holds back up to 24 rows. From these it chooses the period that covers the most rows, and of equal ones the
/// shortest.
struct RowFolder<Row: FoldableRow> {
    /// A row to write. The last row of a folded group has the repetition of the group.
    struct Line {
        var row: Row
        var repetition: Repetition?
    }

    /// The longest group, in rows.
    private static var longest: Int { 8 }
    /// The smallest number of repetitions that is folded.
    private static var fewest: Int { 3 }
    private static var windowSize: Int { longest * fewest }

    /// Rows of which nothing is decided, in a ring.
    private var window: [Row] = []
    private var first = 0
    private var count = 0
    /// The first repetition of the group that is being counted; empty if none is.
    private var group: [Row] = []
    private var repetition = Repetition(count: 0, rows: 0, step: 0)
    private var lines: [Line] = []

    /// Takes the next row.
    mutating func add(_ row: Row) {
        append(row)
        if !group.isEmpty { return continueGroup(row) }
        if count == Self.windowSize { decide() }
    }

    /// Decides about all rows: what follows does not repeat them.
    mutating func finish() {
        endGroup()
        while count > 0 {
            decide()
            endGroup()
        }
    }

    /// The rows about which the folder has decided since the last call.
    mutating func take() -> [Line] {
        defer { lines.removeAll(keepingCapacity: true) }
        return lines
    }

    /// Compares the newest row with the one that continues the group.
    private mutating func continueGroup(_ row: Row) {
        let expected = group[count - 1]
        guard row.reads(like: expected), row.clock &- expected.clock == repetition.count &* repetition.step else {
            endGroup()
            return
        }
        guard count == group.count else { return }
        repetition.count += 1
        dropFirst(count)
    }

    private mutating func endGroup() {
        for (index, row) in group.enumerated() {
            lines.append(Line(row: row, repetition: index == group.count - 1 ? repetition : nil))
        }
        group.removeAll(keepingCapacity: true)
    }

    /// Begins a group with the oldest rows, or gives out the oldest row.
    private mutating func decide() {
        var (best, period) = (0, 0)
        for candidate in stride(from: 1, through: count / Self.fewest, by: 1) {
            let covered = coverage(candidate)
            if covered > best { (best, period) = (covered, candidate) }
        }
        guard best > 0 else {
            lines.append(Line(row: self[0], repetition: nil))
            dropFirst(1)
            return
        }
        group.append(contentsOf: (0..<period).map { self[$0] })
        repetition = Repetition(
            count: UInt64(best / period), rows: period, step: self[period].clock &- self[0].clock)
        dropFirst(best)
        // The rest is shorter than a repetition, or breaks off the group.
        let rest = (0..<count).map { self[$0] }
        dropFirst(count)
        for row in rest { add(row) }
    }

    /// The number of rows at the front that are whole repetitions of the first `period` rows; 0 if they are too few.
    private func coverage(_ period: Int) -> Int {
        let step = self[period].clock &- self[0].clock
        var matched = 0
        while matched < count - period {
            let (row, next) = (self[matched], self[matched + period])
            guard next.clock &- row.clock == step, next.reads(like: row) else { break }
            matched += 1
        }
        let repetitions = matched / period + 1
        return repetitions >= Self.fewest ? repetitions * period : 0
    }

    // MARK: - The ring

    private subscript(index: Int) -> Row { window[(first + index) % Self.windowSize] }

    private mutating func append(_ row: Row) {
        let index = (first + count) % Self.windowSize
        if index == window.count { window.append(row) } else { window[index] = row }
        count += 1
    }

    private mutating func dropFirst(_ number: Int) {
        first = (first + number) % Self.windowSize
        count -= number
    }
}

/// How often a group of rows repeats.
struct Repetition: Equatable {
    /// The number of times that the group occurs.
    var count: UInt64
    /// The rows of the group.
    var rows: Int
    /// The branches from one occurrence to the next.
    var step: UInt64
}

extension RowEncoder {
    /// Ends a row of text: `×20` if it repeats, `×20 (3 rows)` if it is the last of a group, and `, every 12 branches` if
    /// the step is not `usualStep`.
    mutating func endText(_ repetition: Repetition?, usualStep: UInt64?) {
        if let repetition {
            text.appendText("  ×\(repetition.count)")
            if repetition.rows > 1 { text.appendText(" (\(repetition.rows) rows)") }
            switch repetition.step {
            case usualStep: break
            case 0: text.append(", at the same counter")
            case 1: text.append(", every branch")
            default: text.appendText(", every \(repetition.step) branches")
            }
        }
        endText()
    }
}
