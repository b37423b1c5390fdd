// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The commands of a debugger's console that know the log: where, goto, back, events, branches.
public struct TravelCommands {
    let session: TravelSession
    let resolver: PlaceResolver
    /// The name of an address, such as `step+0x12`; nil if it has none.
    public var name: (UInt64) -> String? = { _ in nil }
    /// Further commands; the argument is the rest of the line.
    public var others: [(command: TravelCommand, run: (String) throws -> String)] = []

    /// Makes the commands of a session.
    public init(_ session: TravelSession, _ resolver: PlaceResolver) {
        self.session = session
        self.resolver = resolver
    }

    /// Rows that are shown where no number is given.
    private static let rows: UInt64 = 10

    /// Runs a command.
    public func run(_ line: String) throws -> DebuggerServer.Answer {
        let words = line.split(separator: " ", maxSplits: 1).map(String.init)
        let argument = words.count > 1 ? words[1] : ""
        switch words.first ?? "help" {
        case "where": return .init(text(of: try session.position()))
        case "goto": return try go(argument)
        case "back": return try goAlong(argument, isForward: false)
        case "forward": return try goAlong(argument, isForward: true)
        case "events": return .init(try events(try number(argument) ?? TravelCommands.rows))
        case "branches": return .init(try branches(try number(argument) ?? TravelCommands.rows))
        case "divergence": return try go("divergence")
        case "process": return .init(try process(argument))
        case "help": return .init(help)
        case let word:
            guard let other = others.first(where: { $0.command.word == word }) else {
                return .init("no command \(word)\n\(help)")
            }
            return .init(try other.run(argument))
        }
    }

    private var help: String {
        TravelCommand.table(TravelCommand.own + others.map(\.command))
            + "\n\(TravelCommand.events)\nPLACE: N, @ICOUNT, event:N, event:KIND[@NUMBER][:NTH], SYMBOL[:NTH], *ADDRESS[:NTH],"
            + "\n       console:LINE, divergence, end-K\n"
    }

    /// Follows the running process, or all of them again.
    private func process(_ word: String) throws -> String {
        switch word {
        case "": break
        case "all": session.process = nil
        case "here": _ = try session.followProcess()
        default: throw PlaceError("tt process takes here or all")
        }
        guard let space = session.process else { return "breakpoints and steps are those of all processes" }
        let text =
            "breakpoints and steps are those of the process with its page tables at 0x\(String(space, radix: 16))"
        return try text + (session.addressSpaces().warning.map { "\nwarning: \($0)" } ?? "")
    }

    func number(_ text: String) throws -> UInt64? {
        if text.isEmpty { return nil }
        guard case .transitions(let number) = Place(text) else { throw PlaceError("\(text) is no number") }
        return number
    }

    private func go(_ text: String) throws -> DebuggerServer.Answer {
        guard let place = Place(text) else { throw PlaceError("\(text) is no place; tt help lists places") }
        return try go(to: try resolver.destination(of: place))
    }

    /// Goes to a position; the answer names it, with a note.
    func go(to destination: Destination, note: String? = nil) throws -> DebuggerServer.Answer {
        try session.go(to: destination)
        let lines = [text(of: try session.position())] + (note.map { [$0] } ?? [])
        let warnings = session.places.warnings(at: destination.position.icount).map { "warning: \($0)" }
        return .init((lines + warnings).joined(separator: "\n"), hasMoved: true)
    }

    /// One line for a position.
    public func text(of position: LogPosition) -> String {
        var text = "brctr \(position.brctr.map(String.init) ?? "?"), icount \(position.icount)"
        if let ip = position.ip { text += ", rip \(place(ip))" }
        if let rcx = position.rcx { text += ", rcx 0x\(String(rcx, radix: 16))" }
        return text
    }

    func place(_ address: UInt64) -> String {
        let digits = "0x\(String(address, radix: 16))"
        return name(address).map { "\(digits) <\($0)>" } ?? digits
    }

    private func branches(_ count: UInt64) throws -> String {
        guard let end = try session.position().brctr else { throw PlaceError("the log has no branches") }
        var cursor = session.places.log.branches(from: end > count ? end - count : 0, to: end)
        var lines: [String] = []
        while let branch = cursor.next() {
            lines.append("\(branch.clock): \(place(branch.from)) -> \(place(branch.to))  \(branch.label.name)")
        }
        return lines.joined(separator: "\n")
    }

    private func events(_ count: UInt64) throws -> String {
        let here = try session.position()
        var cursor = session.places.log.events(to: here.brctr.map { $0 &+ 1 } ?? .max)
        var lines: [String] = []
        while let event = cursor.next() {
            guard event.icount < here.icount else { continue }
            lines.append(
                "event:\(event.ordinal)  \(event.clock): icount \(event.icount)  \(event.kind.name)  \(place(event.ip))"
            )
            if lines.count > Int(clamping: count) { lines.removeFirst() }
        }
        return lines.isEmpty ? "no events before here" : lines.joined(separator: "\n")
    }
}
