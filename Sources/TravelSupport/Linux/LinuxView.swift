// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import ReplaySession
import RunDirectory
import Symbolize

/// What a user can ask a stopped Linux guest in one word.
public enum LinuxView: String, CaseIterable, Sendable {
    /// The threads of all processes.
    case tasks
    /// The loaded modules.
    case modules
    /// The kernel's messages.
    case dmesg

    /// The command of a debugger's console.
    var command: TravelCommand { TravelCommand(rawValue, "", help) }

    /// One line for people.
    public var help: String {
        switch self {
        case .tasks: "the threads of a Linux guest; > marks the running one"
        case .modules: "the modules of a Linux guest, as in /proc/modules"
        case .dmesg: "the messages of a Linux kernel"
        }
    }
}

/// The answers of a Linux guest.
public struct LinuxAnswers: Encodable, Sendable {
    /// The answer to ``LinuxView/tasks``.
    public var tasks: [GuestTask]?
    /// The answer to ``LinuxView/modules``.
    public var modules: [GuestModule]?
    /// The answer to ``LinuxView/dmesg``.
    public var dmesg: [KernelMessage]?

    /// No answers.
    public init() {}

    /// The lines of an answer, for people. The guest's text is escaped.
    public func lines(_ view: LinuxView) -> [String] {
        switch view {
        case .tasks: [GuestTask.header] + (tasks ?? []).map(\.row.onOneLine)
        case .modules: (modules ?? []).map(\.line.onOneLine)
        case .dmesg: (dmesg ?? []).map(\.line.onOneLine)
        }
    }
}

extension LinuxGuest {
    /// The guest of a session that has stopped.
    ///
    /// - Throws: ``PlaceError`` if the guest is not in 64-bit mode.
    init(_ session: TravelSession, _ symbolizer: Symbolizer?) throws {
        let memory = session.side.memory
        guard let tables = PageTables(try session.registers(), memory) else {
            throw PlaceError("the guest is not in 64-bit mode yet: no Linux runs")
        }
        let kernel = symbolizer?.modules.first { !$0.isKernelModule && !$0.range.isEmpty }
        self.init(
            tables: tables, memory: memory, kernel: kernel.map { ($0.path, UInt64(bitPattern: $0.slide)) })
    }
}

extension TravelRun {
    /// Asks a stopped Linux guest. The addresses of its modules are written into the run's directory, where `--modules` finds
    /// them.
    ///
    /// - Throws: ``PlaceError`` if the guest has no answer at this place, ``SymbolError`` if the kernel's file has no DWARF.
    public func ask(_ view: LinuxView, _ session: TravelSession, _ answers: inout LinuxAnswers) throws {
        let guest = try LinuxGuest(session, symbolizer)
        switch view {
        case .tasks: answers.tasks = try guest.tasks()
        case .dmesg: answers.dmesg = try guest.messages()
        case .modules:
            let modules = try guest.modules()
            answers.modules = modules
            keep(modules)
        }
    }

    /// The answer for a debugger's console.
    func text(_ view: LinuxView, _ session: TravelSession) throws -> String {
        var answers = LinuxAnswers()
        try ask(view, session, &answers)
        return answers.lines(view).joined(separator: "\n")
    }

    /// Writes the list of modules, unless an earlier one has more of them. A directory that cannot be written to stays as it is.
    private func keep(_ modules: [GuestModule]) {
        let loaded = modules.filter { $0.state == "Live" }
        let path = "\(directory)/\(KernelModules.listName)"
        let earlier = (try? ModuleList(path: path).entries.count) ?? 0
        guard !loaded.isEmpty, loaded.count >= earlier else { return }
        try? Files.replace(path, with: Array(loaded.map(\.lines).joined().utf8))
    }
}
