// SPDX-License-Identifier: GPL-2.0-or-later

/// A command of a debugger's console that knows the log, as help texts show it.
public struct TravelCommand: Sendable {
    /// Its first word, after `tt`.
    public var word: String
    /// Its argument, such as `PLACE`; empty if it takes none.
    public var argument: String
    /// One line for people.
    public var help: String

    /// Makes a command.
    public init(_ word: String, _ argument: String = "", _ help: String) {
        (self.word, self.argument, self.help) = (word, argument, help)
    }

    /// The commands of ``TravelCommands`` itself.
    public static let own = [
        TravelCommand("where", "the position: brctr, icount, rip, rcx"),
        TravelCommand("goto", "PLACE", "go to a place"),
        TravelCommand("back", "[N|EVENT]", "go back by N transitions (1), or to the last EVENT"),
        TravelCommand("forward", "[N|EVENT]", "go forward by N transitions (1), or to the next EVENT"),
        TravelCommand("divergence", "go to the divergence from the other run"),
        TravelCommand("process", "[here|all]", "follow the running process only, or all again"),
        TravelCommand("events", "[N]", "the last N events before here (10)"),
        TravelCommand("branches", "[N]", "the last N branches before here (10)"),
    ]

    /// What an EVENT of these commands is.
    public static let events = "EVENT: io [PORT], mmio [ADDRESS], switch [TABLES], event KIND[@NUMBER]"

    private init(_ word: String, _ help: String) { self.init(word, "", help) }

    /// One line a command.
    public static func table(_ commands: [TravelCommand], indent: String = "") -> String {
        commands.map { command in
            let name = "tt \(command.word)" + (command.argument.isEmpty ? "" : " \(command.argument)")
            return indent + name + String(repeating: " ", count: max(1, 24 - name.count)) + command.help
        }.joined(separator: "\n")
    }
}
