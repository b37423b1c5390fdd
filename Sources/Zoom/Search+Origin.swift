// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import MachineCode
import ReplaySession

/// Looking for the origin of what differs already at a window's start.
extension Search {
    /// The number of windows that a chain may lead back through.
    private static let depth = 8

    /// Follows a chain that begins at a window's start through earlier windows, and puts their links in front.
    func followBack(_ end: ChainFinder.End, before start: UInt64) throws {
        var (end, start) = (end, start)
        for _ in 0..<Search.depth {
            let stretch: Range<UInt64>?
            switch end {
            case .memoryAtStart(let place) where !initial.isSuperset(of: place.words):
                stretch = try lastChange(of: place, before: start)
            case .registerAtStart: stretch = try stretchBefore(start)
            default: return
            }
            guard let stretch else { return }
            try keepCheckpoint()
            name("logging every instruction")
            let state = try compare()
            let window = try zoom.timed("logging every instruction up to \(stretch.upperBound)") {
                try logged(to: stretch.upperBound, start: state)
            }
            let wanted = end
            let (chains, values) = try chains(in: window) { finder in
                switch wanted {
                case .memoryAtStart(let place): finder.chains(toMemory: place)
                case .registerAtStart(let register): finder.chains(toRegister: register)
                default: []
                }
            }
            guard let chain = chains.first else { return }
            let maker = LinkMaker(
                pair: window.pair, table: window.table, decider: 0, begin: window.range.lowerBound, icount: nil,
                values: values)
            zoom.result.chain = chain.nodes.map(maker.link) + zoom.result.chain
            zoom.result.reason = nil
            OriginMaker(window: window, places: places, initial: initial).describe(chain.end, &zoom.result)
            (end, start) = (chain.end, stretch.lowerBound)
        }
    }

    /// Goes back by one window; nil if the start is the beginning of the run.
    private func stretchBefore(_ start: UInt64) throws -> Range<UInt64>? {
        let length = UInt64(zoom.options.side.windowInstructions)
        let begin = places.stop(at: start > length ? start - length : 1)
        guard begin < start else { return nil }
        try goBack(to: begin)
        return begin..<start
    }

    /// The stretch before `start`, as short as a window, in which memory became different for the last time. Both sides
    /// are at its beginning then. nil if the memory differs at every stop.
    private func lastChange(of place: ChainFinder.TraceMemory, before start: UInt64) throws -> Range<UInt64>? {
        var coarse = history.lastChange(of: place.words, before: start)
        if coarse == nil {
            try goBack(to: places.stop(at: 1))
            coarse = try lastChange(of: place, before: start, steps: UInt64(zoom.options.stops))
        }
        guard let coarse else { return nil }
        try goBack(to: coarse.lowerBound)
        let length = UInt64(zoom.options.side.windowInstructions)
        guard UInt64(coarse.count) > length else { return coarse }
        try keepCheckpoint()
        let steps = (UInt64(coarse.count) + length - 1) / length
        let fine = try lastChange(of: place, before: coarse.upperBound, steps: steps) ?? coarse
        try goBack(to: fine.lowerBound)
        return fine
    }

    /// The last stretch between two stops, from here on, in which memory became different.
    private func lastChange(
        of place: ChainFinder.TraceMemory, before last: UInt64, steps: UInt64
    ) throws -> Range<UInt64>? {
        name("looking for the origin")
        let from = sides.original.icount
        return try zoom.timed("comparing \(RowText.hex(place.physical)) at stops up to \(last)") {
            var found: Range<UInt64>?
            var (before, differed) = (from, hasDifference(place))
            for step in 1...max(1, steps) where from < last {
                let stop = step == steps ? last : places.stop(at: from + (last - from) / max(1, steps) * step)
                guard stop > before else { continue }
                _ = try sides.run(to: stop)
                let differs = hasDifference(place)
                if differs, !differed { found = before..<stop }
                if !differs, try sides.isCheckpointDue(zoom.limits) { try sides.keepCheckpoint(zoom.limits) }
                (before, differed) = (stop, differs)
            }
            return found
        }
    }

    /// Whether memory differs now in the bytes that matter.
    private func hasDifference(_ place: ChainFinder.TraceMemory) -> Bool {
        (0..<place.size).contains { byte in
            let address = place.physical &+ UInt64(byte)
            return place.bytes >> UInt8(byte) & 1 != 0
                && sides.original.memory.value(at: address, bytes: 1)
                    != sides.replay.memory.value(at: address, bytes: 1)
        }
    }
}
