// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LogFormat
import RunDirectory

/// Finds the position of a ``Place`` in a run.
///
///     let resolver = PlaceResolver(places: places, directory: "run")
///     let destination = try resolver.destination(of: Place("console:12")!)
public struct PlaceResolver {
    /// The run's log and counts.
    public let places: RunPlaces
    /// The run's directory, for its console.
    public let directory: String
    /// The addresses of a symbol: several where functions share a name, or a program was loaded at several addresses. Throws a
    /// ``PlaceError`` if there is none.
    public var symbol: (String) throws -> [UInt64] = { name in
        throw PlaceError("no symbols are known that could name \(name)")
    }
    /// Transitions before the branch that one of two runs takes differently, and the instructions that have begun when it is
    /// taken; throws a ``PlaceError`` if there is none.
    public var divergence: () throws -> (brctr: UInt64, icount: UInt64?) = {
        throw PlaceError("the run has no other run to differ from")
    }

    /// Makes a resolver that knows neither symbols nor another run.
    public init(places: RunPlaces, directory: String) {
        self.places = places
        self.directory = directory
    }

    /// The position of a place.
    ///
    /// - Throws: ``PlaceError`` with what is missing; ``LogError`` if the log cannot be read.
    public func destination(of place: Place) throws -> Destination {
        switch place {
        case .transitions(let number): return try places.destination(brctr: number)
        case .instructions(let number): return try places.destination(icount: number)
        case .event(let ordinal): return try event(ordinal)
        case .events(let pattern, let nth): return try places.destination(pattern, nth: nth)
        case .symbol(let name, let nth): return try places.destination(addresses: try symbol(name), nth: nth)
        case .address(let address, let nth): return try places.destination(addresses: [address], nth: nth)
        case .console(let line): return try console(line)
        case .divergence:
            let (brctr, icount) = try divergence()
            // The last instruction that both runs have in common.
            guard let icount, icount > 0 else { return try places.destination(brctr: brctr) }
            return try places.destination(icount: icount - 1)
        case .end(let distance):
            guard distance <= places.end.brctr else {
                throw PlaceError("the run has \(places.end.brctr) transitions only")
            }
            return try places.destination(brctr: places.end.brctr - distance)
        }
    }

    private func event(_ ordinal: UInt64) throws -> Destination {
        var events = places.log.events()
        var count: UInt64 = 0
        while let event = events.next() {
            count = event.ordinal &+ 1
            guard event.ordinal == ordinal else { continue }
            guard event.validity.contains(.icount) else {
                throw PlaceError("event \(ordinal) of the log has no instruction count")
            }
            return try places.destination(icount: event.icount)
        }
        if let damage = (places.log.structuralDamage + events.skipped).first {
            throw PlaceError("event \(ordinal) is not in what can be read of the log (\(damage))")
        }
        throw PlaceError("the log has no event \(ordinal): it has \(count)")
    }

    /// The bytes of a console that are read at most.
    private static let consoleLimit = 256 << 20

    private func console(_ line: UInt64) throws -> Destination {
        let file = try PlainFile(
            RunFiles.serialLogName, what: "console", in: try OpenDirectory(directory, what: "run directory"))
        let text = try file.contents(limit: PlaceResolver.consoleLimit)
        var lines: UInt64 = 0
        guard
            let end = text.indices.first(where: { index in
                if text[index] == UInt8(ascii: "\n") { lines += 1 }
                return lines == line
            })
        else {
            throw PlaceError("\(file.path): the console has no line \(line): it has \(lines)")
        }
        let written = try places.inputLog.consoleBytes()
        guard end < written.count else {
            throw PlaceError(
                "\(places.inputLog.path): it has \(written.count) bytes of the console, line \(line) ends after them")
        }
        let destination = try places.destination(engine: written[end])
        guard destination.position.icount < places.end.icount else {
            throw PlaceError("the run ends with line \(line) of the console: end is the last place before that")
        }
        return destination
    }
}

extension RunPlaces {
    /// The last position at a count of QEMU: after the deliveries there.
    public func destination(engine: UInt64) throws -> Destination {
        if let last = deliveries(at: engine).last { return try destination(brctr: last.brctr &+ 1) }
        let position = try position(engine: engine, ip: 0)
        return try destination(icount: position.icount)
    }
}
