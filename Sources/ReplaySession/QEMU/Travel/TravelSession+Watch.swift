// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// Accesses to watched memory in a stretch of a run.
struct WatchedStretch {
    /// An access.
    struct Hit {
        /// Before its instruction.
        var place: EnginePlace
        /// What gdb calls it and its address: `watch:7ffe10`.
        var reason: String
    }

    /// The packets that set the watchpoints.
    var packets: [[UInt8]]
    /// QEMU's count at the beginning.
    var begin: UInt64
    /// The place up to which the stretch was searched.
    var end: EnginePlace
    /// The last accesses in it, in the order of the run.
    var hits: [Hit] = []
    /// Whether it had more than are kept.
    var isCutShort = false

    /// Accesses that are kept.
    static let most = 65536

    /// The last access before a place of the stretch.
    func last(before place: EnginePlace) -> Hit? { hits.last { $0.place < place } }

    /// Whether it shows the last access before a place, or that it has none.
    func covers(_ packets: [[UInt8]], _ place: EnginePlace) -> Bool {
        guard packets == self.packets, place <= end, EnginePlace(icount: begin) < place else { return false }
        return !isCutShort || last(before: place) != nil
    }
}

extension TravelSession {
    /// Where a way back ended.
    enum Way {
        /// At the beginning of the run.
        case begin
        /// At a breakpoint.
        case breakpoint
        /// Before an access to watched memory; gdb's words for it.
        case watch(String)
    }

    /// Goes back to the last breakpoint or the last access to watched memory, whichever comes later in the run.
    ///
    /// The stretch of the run after the last checkpoint is run once with QEMU's watchpoints, then the one before it, and so on.
    /// The accesses of the last stretch are kept: the next way back in it is one run to a place.
    func runBack(to addresses: Set<UInt64>, watching packets: [[UInt8]]) throws -> Way {
        let origin = current
        guard origin > EnginePlace(icount: 0) else { return .begin }
        var limit = EnginePlace(icount: 0)
        var isAtBreakpoint = false
        if !addresses.isEmpty, try runBack(to: addresses) { (limit, isAtBreakpoint) = (current, true) }
        var place = origin
        while place > limit {
            let stretch = try stretch(packets, before: place)
            if let hit = stretch.last(before: place) {
                guard hit.place >= limit else { break }
                try go(to: hit.place)
                return .watch(hit.reason)
            }
            place = EnginePlace(icount: stretch.begin)
        }
        try go(to: limit)
        return isAtBreakpoint ? .breakpoint : .begin
    }

    /// The stretch from the last checkpoint before a place up to it.
    private func stretch(_ packets: [[UInt8]], before place: EnginePlace) throws -> WatchedStretch {
        if let watched, watched.covers(packets, place) { return watched }
        let begin = checkpoints.counts.last { EnginePlace(icount: $0) < place } ?? 0
        var found = WatchedStretch(packets: packets, begin: begin, end: place)
        try go(to: EnginePlace(icount: begin))
        for packet in packets { try set(packet) }
        do {
            try search(&found)
        } catch {
            for packet in packets { try remove(packet) }
            throw error
        }
        for packet in packets { try remove(packet) }
        try? side.removeBreak()
        watched = found
        return found
    }

    private func set(_ packet: [UInt8]) throws { _ = try client.request(packet) }

    private func remove(_ packet: [UInt8]) throws {
        _ = try client.request([UInt8(ascii: "z")] + packet.dropFirst())
    }

    private func search(_ stretch: inout WatchedStretch) throws {
        // An access by the last instruction before a stop by count is reported only after the guest runs on: one instruction more.
        let stop = stretch.end.icount + 1
        while current.icount < stretch.end.icount {
            let before = current.icount
            try side.setBreak(at: stop)
            try client.resume(Array("c".utf8))
            var reply = try client.stop(within: 0.2)
            while reply == nil {
                try onWait(side.icount)
                reply = try client.stop(within: 0.2)
            }
            try side.lookWhere()
            if let reason = reply.flatMap(TravelSession.watchReason) {
                keep(reason, in: &stretch)
            } else if side.icount <= before {
                throw PlaceError("the run makes no progress after instruction \(before) of QEMU")
            }
            current = EnginePlace(icount: side.icount)
        }
        // QEMU would abort later if it had an access to report and its watchpoint were gone.
        if current.icount > stretch.end.icount { try client.step() }
        try look()
    }

    /// Keeps an access. QEMU has stopped after its instruction.
    private func keep(_ reason: String, in stretch: inout WatchedStretch) {
        guard side.icount > 0, side.icount <= stretch.end.icount else { return }
        if stretch.hits.count == WatchedStretch.most {
            stretch.hits.removeFirst(WatchedStretch.most / 2)
            stretch.isCutShort = true
        }
        let count = side.icount - 1
        stretch.hits.append(
            .init(place: EnginePlace(icount: count, deliveries: places.deliveries(at: count).count), reason: reason))
    }

    /// `watch:ADDRESS`, `rwatch:ADDRESS` or `awatch:ADDRESS` of a stop reply.
    static func watchReason(_ reply: [UInt8]) -> String? {
        String(decoding: reply.dropFirst(3), as: UTF8.self).split(separator: ";").map(String.init)
            .first { ["watch:", "rwatch:", "awatch:"].contains(where: $0.hasPrefix) }
    }
}
