// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

extension TravelCommands {
    /// Goes along the run from here: by a number of transitions, or to the nearest event of a kind.
    ///
    /// - Parameter argument: empty, `N`, `io [PORT]`, `mmio [ADDRESS]`, `switch [TABLES]` or `event KIND[@NUMBER]`.
    func goAlong(_ argument: String, isForward: Bool) throws -> DebuggerServer.Answer {
        let words = argument.split(separator: " ").map(String.init)
        guard let first = words.first else { return try goBy(1, isForward) }
        if words.count == 1, case .transitions(let count) = Place(first) { return try goBy(count, isForward) }
        let text =
            switch words.count {
            case 1 where first != "event": first
            case 2 where first == "event": words[1]
            case 2: "\(first)@\(words[1])"
            default: ""
            }
        guard let pattern = EventPattern(text) else {
            throw PlaceError(
                "\(argument) is neither a number nor an event. \(TravelCommand.events)")
        }
        return try goToEvent(pattern, isForward)
    }

    private func goBy(_ count: UInt64, _ isForward: Bool) throws -> DebuggerServer.Answer {
        guard let here = try session.position().brctr else { throw PlaceError("the log has no branches") }
        let there = isForward ? here.addingReportingOverflow(count).partialValue : here - min(here, count)
        guard !isForward || there >= here else { throw PlaceError("the run has no \(count) transitions after here") }
        return try go(to: try session.places.destination(brctr: there))
    }

    /// Goes to the instruction of the nearest event, and shows the event.
    private func goToEvent(_ pattern: EventPattern, _ isForward: Bool) throws -> DebuggerServer.Answer {
        let places = session.places
        var from = try session.position()
        while true {
            let found =
                isForward
                ? try places.firstEvent(pattern, after: from) : try places.lastEvent(pattern, before: from)
            guard let found else {
                throw PlaceError("no \(pattern) \(isForward ? "after" : "before") here in the log")
            }
            let event = found.event
            let destination = try places.destination(icount: event.icount)
            // The instruction of the event may be the one at this place, after a delivery.
            let isNear =
                isForward ? destination.engine <= session.current : destination.engine >= session.current
            guard isNear else {
                let note =
                    found.unknown > 0
                    ? "\nwarning: the log does not have the port or address of \(found.unknown) accesses between" : ""
                return try go(to: destination, note: text(of: event) + note)
            }
            from = LogPosition(brctr: event.clock, icount: event.icount)
        }
    }

    /// One line for an event.
    func text(of event: Event) -> String {
        let details = event.details { address in name(address).map { " <\($0)>" } ?? "" }
        return "\(event.kind.name)  \(details)".onOneLine
    }
}
