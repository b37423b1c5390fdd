// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import ReplaySession

/// Looking for the first difference where its place is unknown.
extension Search {
    /// Explains a difference that the logs do not show: compares both sides at stops over the whole run.
    func explainAnywhere() throws { try explainBetween(1, places.end &- min(places.end, 64)) }

    /// Explains a difference of state that the logs show after one place and up to another. Registers that were equal at the
    /// first do not show what memory held, so the search begins at the run's beginning.
    func explainState(from: UInt64, to: UInt64) throws { try explainBetween(1, to, stoppingAt: places.stop(at: from)) }

    /// Runs both sides from stop to stop until they differ, then again in smaller steps, then with a window in the step
    /// that is left. Differences that no instruction made came from a device, or from a file of the guest by way of one:
    /// the search goes on after them, for the first instruction that reads them.
    ///
    /// - Parameter extra: a further place to stop at.
    func explainBetween(_ first: UInt64, _ last: UInt64, stoppingAt extra: UInt64? = nil) throws {
        var known = initial
        var from = places.stop(at: first)
        try run(to: from, "running both sides")
        while true {
            let steps = UInt64(zoom.options.stops)
            guard let coarse = try firstDifference(from, last, steps: steps, stoppingAt: extra, known) else {
                zoom.result.reason = Search.nothing(known)
                return
            }
            let fine = try narrow(coarse, known)
            try goBack(to: fine.lowerBound)
            if try explainWindow(fine, filled: known) { return }
            known.formUnion(sides.memoryDifferences().words)
            guard try sides.registerDifferences().isEmpty, fine.upperBound < last else {
                zoom.result.reason = "registers differ, and no instruction that was logged explains it"
                return
            }
            from = fine.upperBound
        }
    }

    private static func nothing(_ known: Set<UInt64>) -> String {
        known.isEmpty
            ? "no difference was found at the stops"
            : "no difference was found at the stops apart from memory that a device or the runs' files fill"
    }

    /// The stretch between two stops in which new differences come up; nil if none do.
    private func firstDifference(
        _ from: UInt64, _ last: UInt64, steps: UInt64, stoppingAt extra: UInt64? = nil, _ known: Set<UInt64>
    ) throws -> Range<UInt64>? {
        let even: [UInt64] = (1...max(1, steps)).map { from + (max(from, last) - from) / max(1, steps) * $0 }
        let stops = (even.dropLast(1) + [last] + (extra.map { [$0] } ?? [])).filter { $0 <= last }.sorted()
        name("comparing at stops")
        return try zoom.timed("comparing both sides at stops from \(from) on") {
            var before = from
            for place in stops {
                let stop = places.stop(at: place)
                guard stop > before else { continue }
                let ends = try sides.run(to: stop)
                guard ends.original == .reached, ends.replay == .reached else {
                    return ends.original == ends.replay ? nil : before..<stop
                }
                if hasNewDifference(try compare(), known) { return before..<stop }
                if try sides.isCheckpointDue(zoom.limits) { try sides.keepCheckpoint(zoom.limits) }
                before = stop
            }
            return nil
        }
    }

    /// Makes a stretch as short as a window.
    private func narrow(_ stretch: Range<UInt64>, _ known: Set<UInt64>) throws -> Range<UInt64> {
        let length = UInt64(zoom.options.side.windowInstructions)
        guard UInt64(stretch.count) > length else { return stretch }
        try goBack(to: stretch.lowerBound)
        try keepCheckpoint()
        let steps = (UInt64(stretch.count) + length - 1) / length
        return try firstDifference(stretch.lowerBound, stretch.upperBound, steps: steps, known) ?? stretch
    }

    /// Whether registers differ, or memory beyond what is known.
    private func hasNewDifference(_ state: StateDifference, _ known: Set<UInt64>) -> Bool {
        !state.registers.isEmpty || state.words.words.contains { !known.contains($0) }
    }

    /// Logs a stretch and explains the first difference in it. Returns whether there was one.
    ///
    /// - Parameter filled: words that differ because a device or a file of the runs filled them.
    private func explainWindow(_ stretch: Range<UInt64>, filled: Set<UInt64>) throws -> Bool {
        name("logging every instruction")
        let start = try compare()
        let window = try zoom.timed("logging every instruction up to \(stretch.upperBound)") {
            try logged(to: stretch.upperBound, start: start)
        }
        let access = window.pair.firstDifferentAccess()
        guard access != nil || window.pair.hasPathDifference else { return false }
        note(start)
        zoom.result.window = window.range
        zoom.result.commonInstructions = window.pair.commonCount
        if let access {
            try take(window, access, last: nil, isAccess: true, filled: filled)
        } else {
            try take(window, window.pair.commonCount - 1, last: nil, isAccess: false, filled: filled)
        }
        return true
    }
}
