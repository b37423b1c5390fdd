// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A stretch of a run that is logged in full while the run is made again.
public struct TraceWindow: Hashable, Sendable {
    /// A position at which the stretch begins or ends.
    public struct Edge: Hashable, Sendable {
        /// Transitions before it; nil where the run has no log.
        public var brctr: UInt64?
        /// Instructions before it, as the log counts.
        public var icount: UInt64
        /// The linear address of the next instruction, where the log has it.
        public var ip: UInt64?
        /// The same position for QEMU.
        public var engine: EnginePlace
    }

    /// The first position.
    public var from: Edge
    /// The position after the last transition.
    public var to: Edge
    /// Whether it ends with the run.
    public var isToEnd: Bool
}

/// A place as a log can search it.
private enum Bound {
    case transitions(UInt64)
    case instructions(UInt64)
}

extension PlaceResolver {
    /// The smallest stretch between two places whose edges are known exactly.
    ///
    /// In a log with a branch stream it is whole cells of the branches: the log's digests of them tell whether the new log has
    /// the same. In a log of events alone its edges are events.
    ///
    /// - Throws: ``PlaceError`` if a place is not found, or if the second is not after the first.
    public func window(from: Place, to: Place) throws -> TraceWindow {
        let (first, last) = (try bound(from), try bound(to))
        let window =
            places.hasBranches
            ? try places.window(ofBranches: first, last)
            : places.isLogged ? places.window(ofEvents: first, last) : try places.window(ofCounts: first, last)
        guard window.from.icount < window.to.icount else {
            throw PlaceError("\(to) is not after \(from)")
        }
        return window
    }

    private func bound(_ place: Place) throws -> Bound {
        switch place {
        case .transitions(let number):
            guard number <= places.end.brctr else {
                throw PlaceError("brctr \(number) is after the end of the log, \(places.end.brctr)")
            }
            return .transitions(number)
        case .end(0) where !places.isLogged: return .instructions(places.end.icount)
        case .end(let distance):
            guard distance <= places.end.brctr else {
                throw PlaceError("the run has \(places.end.brctr) transitions only")
            }
            return .transitions(places.end.brctr - distance)
        default: return .instructions(try destination(of: place).position.icount)
        }
    }
}

extension RunPlaces {
    /// Whether the log has a branch stream, with or without bodies.
    public var hasBranches: Bool { !chunks.isEmpty }

    /// Without a log, edges are counts at which QEMU stops in one state.
    fileprivate func window(ofCounts first: Bound, _ last: Bound) throws -> TraceWindow {
        guard case .instructions(let begin) = first, case .instructions(let finish) = last else {
            throw PlaceError("the run has no log: only @ICOUNT and console:LINE can be found")
        }
        func edge(_ icount: UInt64) -> TraceWindow.Edge {
            let clean = cleanStop(upTo: icount)
            return TraceWindow.Edge(brctr: nil, icount: clean, ip: nil, engine: EnginePlace(icount: clean))
        }
        return TraceWindow(from: edge(begin), to: edge(finish), isToEnd: finish >= end.icount)
    }

    private func edge(brctr: UInt64, icount: UInt64, ip: UInt64? = nil) -> TraceWindow.Edge {
        let engine = engineCount(icount)
        return TraceWindow.Edge(
            brctr: brctr, icount: icount, ip: ip,
            engine: EnginePlace(icount: engine, deliveries: deliveries(at: engine).count { $0.brctr < brctr }))
    }

    private var endEdge: TraceWindow.Edge { edge(brctr: end.brctr, icount: end.icount) }

    fileprivate func window(ofBranches first: Bound, _ last: Bound) throws -> TraceWindow {
        var begin = index(containing: first, isEnd: false)
        // The edges are those of cells, where QEMU's counts are certain.
        while begin > chunks.startIndex, chunks[begin].part > 0 || hidesFaults(at: chunks[begin - 1].icountLast) {
            begin -= 1
        }
        var from = edge(brctr: 0, icount: 0)
        if begin > chunks.startIndex {
            let before = chunks[begin - 1]
            let ip = before.isElided ? nil : try branch(before.clockLast)?.to
            from = edge(brctr: before.clockLast &+ 1, icount: before.icountLast, ip: ip)
        }
        var finish = index(containing: last, isEnd: true)
        while finish + 1 < chunks.endIndex,
            chunks[finish + 1].cell == chunks[finish].cell || hidesFaults(at: chunks[finish].icountLast)
        {
            finish += 1
        }
        let chunk = chunks[finish]
        let isToEnd = finish == chunks.endIndex - 1 || chunk.clockLast &+ 1 >= end.brctr
        let ip = chunk.isElided || isToEnd ? nil : try branch(chunk.clockLast)?.to
        let to = isToEnd ? endEdge : edge(brctr: chunk.clockLast &+ 1, icount: chunk.icountLast, ip: ip)
        return TraceWindow(from: from, to: to, isToEnd: isToEnd)
    }

    /// The chunk with the transition after a bound or, for an end, before it.
    private func index(containing bound: Bound, isEnd: Bool) -> Int {
        let found = chunks.firstIndex { chunk in
            switch bound {
            case .transitions(let number): isEnd ? chunk.clockLast &+ 1 >= number : chunk.clockLast >= number
            case .instructions(let number): chunk.icountLast >= number
            }
        }
        return found ?? chunks.endIndex - 1
    }

    fileprivate func window(ofEvents first: Bound, _ last: Bound) -> TraceWindow {
        var from = edge(brctr: 0, icount: 0)
        var to: TraceWindow.Edge?
        var clock: UInt64?
        var events = log.events([.event, .access])
        while to == nil, let event = events.next() {
            guard event.validity.contains([.icount, .ip]), event.clock < end.brctr || event.icount < end.icount else {
                continue
            }
            // A log that begins at a clock has all its events.
            let isFirst = event.clock != clock
            clock = event.clock
            // At an interrupt's count the guest has several states.
            guard isFirst, !hidesFaults(at: event.icount), deliveries(at: engineCount(event.icount)).isEmpty else {
                continue
            }
            if !RunPlaces.isAfter(event, first) {
                from = edge(brctr: event.clock, icount: event.icount, ip: event.ip)
            }
            if RunPlaces.reaches(event, last) {
                to = edge(brctr: event.clock, icount: event.icount, ip: event.ip)
            }
        }
        return TraceWindow(from: from, to: to ?? endEdge, isToEnd: to == nil)
    }

    private static func isAfter(_ event: Event, _ bound: Bound) -> Bool {
        switch bound {
        case .transitions(let number): event.clock > number
        case .instructions(let number): event.icount > number
        }
    }

    private static func reaches(_ event: Event, _ bound: Bound) -> Bool {
        switch bound {
        case .transitions(let number): event.clock >= number
        case .instructions(let number): event.icount >= number
        }
    }
}
