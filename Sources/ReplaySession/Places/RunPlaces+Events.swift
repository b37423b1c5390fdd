// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

extension RunPlaces {
    /// An event of the log, found from a position.
    public struct FoundEvent: Sendable {
        /// The event.
        public var event: Event
        /// Events between whose port or address the log does not have, where one was asked for.
        public var unknown: Int
    }

    /// The last event of a kind whose instruction is before a position; nil if there is none.
    ///
    /// - Throws: ``PlaceError`` if the log does not have such events, ``LogError`` if it is damaged there.
    public func lastEvent(_ pattern: EventPattern, before position: LogPosition) throws -> FoundEvent? {
        let found = try eventSearch.last(pattern, before: position)
        return found.event.map { FoundEvent(event: $0, unknown: found.unknown) }
    }

    /// The first event of a kind whose instruction is after the one at a position; nil if there is none.
    ///
    /// - Throws: as ``lastEvent(_:before:)`` does.
    public func firstEvent(_ pattern: EventPattern, after position: LogPosition) throws -> FoundEvent? {
        let found = try eventSearch.first(pattern, after: position)
        return found.event.map { FoundEvent(event: $0, unknown: found.unknown) }
    }

    /// The position before the instruction of the nth event of a kind, from 1.
    func destination(_ pattern: EventPattern, nth: UInt64) throws -> Destination {
        let found = try eventSearch.first(pattern, after: LogPosition(brctr: 0, icount: 0), nth: nth)
        if found.unknown > 0 {
            throw PlaceError("the log does not have the number of \(found.unknown) events that may be \(pattern)")
        }
        guard let event = found.event else {
            let count = found.count
            throw PlaceError(
                "the log has no event \(pattern)"
                    + (count == 0 ? "" : " after the \(count == 1 ? "only one" : "last of \(count)")"))
        }
        return try destination(icount: event.icount)
    }
}
