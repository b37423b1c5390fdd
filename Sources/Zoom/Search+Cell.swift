// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import ReplaySession

/// A divergence that the logs know to a cell only, narrowed to its branch.
extension Search {
    /// Logs the instructions of a cell on both sides, a window at a time, up to where the paths part.
    func explainCell(_ cell: ZoomSession.Cell) throws {
        let from = places.range(ofLog: cell.icountFirst).lowerBound
        let begin = places.stop(at: from > zoom.options.after ? from - zoom.options.after : 1)
        let last = places.stop(at: cell.icountLast &+ zoom.options.after)
        try zoom.timed("running both sides to instruction \(begin), compared at stops") { try runComparing(to: begin) }
        // Faults make the log's count larger than QEMU's.
        let length = UInt64(zoom.options.side.windowInstructions) * 7 / 8
        while sides.original.icount < last {
            let start = try compare()
            try keepCheckpoint()
            let here = sides.original.icount
            let end = min(last, places.stop(at: here &+ length))
            name("logging every instruction")
            let window = try zoom.timed("logging every instruction up to \(end)") { try logged(to: end, start: start) }
            guard window.pair.hasPathDifference, window.pair.commonCount > 0 else {
                guard sides.original.icount > here else { break }
                continue
            }
            note(start)
            zoom.result.window = window.range
            zoom.result.commonInstructions = window.pair.commonCount
            let decider = window.pair.commonCount - 1
            let anchor = CellAnchor(cell, window, faults: places.range(ofLog: cell.icountFirst))
            let icount = anchor.map { $0.before + UInt64(decider) + 1 }
            noteParting(window, icount: icount.map { $0 - 1 }, clock: anchor?.clock(of: decider))
            let first = try zoom.timed("walking back") { try take(window, decider, last: icount, isAccess: false) }
            return try followBack(first, before: window.range.lowerBound)
        }
        zoom.result.reason = "the paths do not part in the cell"
    }
}

/// The place of a cell's branches in a window: found by the number of transitions between its first branch and its last.
struct CellAnchor {
    /// Instructions begun before the window, as the log counts them.
    let before: UInt64
    private let cell: ZoomSession.Cell
    /// Transitions of the window before each instruction.
    private let transitions: [Int32]

    /// nil if no place fits, or if several do: the window may have a part of the cell only.
    ///
    /// - Parameter faults: where QEMU's count can be for the log's count of the cell's first branch.
    init?(_ cell: ZoomSession.Cell, _ window: Search.Window, faults: ClosedRange<UInt64>) {
        let (trace, table) = (window.pair.original, window.table)
        var transitions: [Int32] = [0]
        transitions.reserveCapacity(trace.count)
        for index in 0..<max(0, trace.count - 1) {
            let instruction = table.entry(index).instruction
            let (here, next) = (trace.addresses[index], trace.addresses[index + 1])
            let isRepetition = next == here && instruction.branchClass == .rep
            let isNext = next == here &+ UInt64(instruction.size)
            transitions.append(transitions[index] + (isNext || isRepetition ? 0 : 1))
        }
        let begin = window.range.lowerBound
        let limit = begin &+ min(faults.upperBound - faults.lowerBound, 1 << 24)
        let found = (begin...limit).filter { before in
            guard cell.icountFirst > before, cell.icountLast >= cell.icountFirst,
                cell.icountLast - before < UInt64(transitions.count)
            else { return false }
            let (first, last) = (Int(cell.icountFirst - before) - 1, Int(cell.icountLast - before) - 1)
            return transitions[first + 1] > transitions[first] && transitions[last + 1] > transitions[last]
                && UInt64(transitions[last + 1] - transitions[first]) == cell.branches
        }
        guard found.count == 1, let before = found.first else { return nil }
        (self.before, self.cell, self.transitions) = (before, cell, transitions)
    }

    /// Branches before an instruction of the window, as the log counts them.
    func clock(of index: Int) -> UInt64? {
        let first = Int(cell.icountFirst - before) - 1
        guard transitions.indices.contains(index), transitions[index] >= transitions[first] else { return nil }
        return cell.clock &+ UInt64(transitions[index] - transitions[first])
    }
}
