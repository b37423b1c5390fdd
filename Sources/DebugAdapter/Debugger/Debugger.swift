// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
@preconcurrency import Glibc
import RunDirectory

/// gdb, driven over its machine interface: one command at a time, in the order in which they are given.
///
/// Commands that look are requests of `ttdap.py`; commands that move the guest are gdb's own (`-exec-…`). While the guest
/// runs, gdb reads no commands: they wait here.
final class Debugger {
    /// How a move ended.
    struct Stop: Equatable {
        /// Whether the guest is at the beginning or the end of what the run repeats.
        var isAtEnd = false
    }

    /// Text of gdb or of its server, for the user.
    var onText: (String) -> Void = { _ in }
    /// The lines of both directions.
    var onLine: (_ isSent: Bool, String) -> Void = { _, _ in }

    private enum Work {
        /// A request of the script.
        case ask((Result<JSONValue, RequestError>) -> Void)
        /// A command that moves the guest.
        case move(begins: () -> Void, then: (Result<Stop, RequestError>) -> Void)
    }

    private struct Command {
        var number: Int
        var text: String
        var owner: Int64?
        var work: Work
        /// Whether gdb has said that the guest runs.
        var isRunning = false
        var stop: Stop?
    }

    private let output: Int32
    private var commands: [Command] = []
    private var isBusy = false
    private var lastNumber = 0
    private var received: [UInt8] = []

    /// The longest line of gdb that is kept.
    static let longestLine = 16 << 20
    /// The most commands that wait.
    static let mostCommands = 1000

    /// Takes over the pipe to gdb's input.
    init(output: Int32) { self.output = output }

    deinit { close(output) }

    /// Whether the command that gdb works on moves the guest.
    var isMoving: Bool {
        guard isBusy, let command = commands.first else { return false }
        if case .move = command.work { return true }
        return command.isRunning
    }

    /// Asks `ttdap.py` for something.
    ///
    /// - Parameter owner: the client's number of the request, by which it can be cancelled.
    func ask(
        _ name: String, _ arguments: [String: JSONValue?] = [:], owner: Int64? = nil,
        then: @escaping (Result<JSONValue, RequestError>) -> Void
    ) {
        let request = JSONValue.object(["do": .string(name)]).adding(arguments)
        let text = "-tt-dap \(Data(request.line).base64EncodedString())"
        add(Command(number: 0, text: text, owner: owner, work: .ask(then)))
    }

    /// Moves the guest by a command of gdb. `begins` is called when it runs, `then` when it has stopped, or did not run.
    func move(
        _ command: String, begins: @escaping () -> Void = {}, then: @escaping (Result<Stop, RequestError>) -> Void
    ) {
        add(Command(number: 0, text: command, owner: nil, work: .move(begins: begins, then: then)))
    }

    /// Drops a request that has not begun. Returns whether there was one.
    func cancel(_ owner: Int64) -> Bool {
        guard let index = commands.indices.dropFirst(isBusy ? 1 : 0).first(where: { commands[$0].owner == owner })
        else { return false }
        fail(commands.remove(at: index), RequestError("cancelled"))
        return true
    }

    /// Fails everything that waits: gdb is gone.
    func end() {
        let waiting = commands
        (commands, isBusy) = ([], false)
        for command in waiting { fail(command, RequestError("gdb has ended")) }
    }

    private func fail(_ command: Command, _ error: RequestError) {
        switch command.work {
        case .ask(let then): then(.failure(error))
        case .move(_, let then): then(.failure(error))
        }
    }

    // MARK: Commands out

    private func add(_ command: Command) {
        guard commands.count < Debugger.mostCommands else {
            fail(command, RequestError("too many requests wait for gdb"))
            return
        }
        commands.append(command)
        sendNext()
    }

    private func sendNext() {
        guard !isBusy, !commands.isEmpty else { return }
        isBusy = true
        send(0)
    }

    private func send(_ index: Int) {
        lastNumber &+= 1
        commands[index].number = lastNumber
        let line = "\(lastNumber)\(commands[index].text)"
        onLine(true, line)
        _ = Files.write(Array("\(line)\n".utf8), to: output)
    }

    private func finish(_ body: (Command) -> Void) {
        let command = commands.removeFirst()
        isBusy = false
        body(command)
        sendNext()
    }

    // MARK: Records in

    /// Takes what gdb has printed.
    func receive(_ bytes: some Collection<UInt8>) {
        received.append(contentsOf: bytes)
        var start = 0
        while let newline = received[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: received[start..<newline], as: UTF8.self)
            start = newline + 1
            onLine(false, line)
            take(DebuggerRecord(line))
        }
        received.removeFirst(start)
        if received.count > Debugger.longestLine { received = [] }
    }

    private func take(_ record: DebuggerRecord) {
        switch record {
        case .result(let number, let name, let rest):
            guard isBusy, let command = commands.first, number == command.number else { return }
            take(name, rest, command)
        case .stopped:
            guard isBusy, let command = commands.first, case .move(_, let then) = command.work, command.isRunning else {
                return
            }
            finish { then(.success($0.stop ?? Stop())) }
        case .console(let text):
            // gdb names no reason for this stop.
            if isMoving, text.contains("No more reverse-execution history") { commands[0].stop = Stop(isAtEnd: true) }
        case .target(let text): onText(text)
        case .log(let text):
            // Messages of breakpoints. Those of requests are in their answers.
            if isMoving { onText(text) }
        case .other: break
        }
    }

    private func take(_ name: String, _ rest: String, _ command: Command) {
        if name == "running" {
            commands[0].isRunning = true
            // A request that moves the guest has no result of its own: the script keeps its answer.
            switch command.work {
            case .move(let begins, _): begins()
            case .ask:
                commands[0].text = "-tt-dap \(Data(#"{"do":"last"}"#.utf8).base64EncodedString())"
                send(0)
            }
            return
        }
        if name == "error" {
            let message = DebuggerRecord.value(of: "msg", in: rest) ?? "gdb reports an error"
            finish { fail($0, RequestError(message)) }
            return
        }
        switch command.work {
        case .move(_, let then): finish { _ in then(.success(Stop())) }
        case .ask(let then): finish { _ in then(Debugger.answer(rest)) }
        }
    }

    /// The answer of the script: base64 of JSON.
    private static func answer(_ rest: String) -> Result<JSONValue, RequestError> {
        guard let text = DebuggerRecord.value(of: "answer", in: rest), let data = Data(base64Encoded: text),
            let value = try? JSONDecoder().decode(JSONValue.self, from: data)
        else { return .failure(RequestError("gdb's answer cannot be read")) }
        if let error = value["error"]?.string { return .failure(RequestError(error)) }
        return .success(value)
    }
}
