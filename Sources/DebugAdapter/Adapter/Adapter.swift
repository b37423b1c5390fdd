// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
@preconcurrency import Glibc
import RunDirectory

/// What the adapter needs of the program that it is part of.
public protocol ReplayHost: AnyObject {
    /// Starts to replay a run on another thread, which reports to a link. Its first state is ``ReplayLink/State/starts``.
    func start(_ arguments: LaunchArguments, _ link: ReplayLink) throws
    /// Starts gdb with its machine interface and a script. Returns the pipes to its input and from its output, which the
    /// adapter closes.
    func startDebugger(_ arguments: LaunchArguments, script: String) throws -> (input: Int32, output: Int32)
    /// Ends gdb and the replay, and returns when nothing of them is left.
    func stop()
    /// Called about ten times a second. Returns false if the adapter shall end.
    func goesOn() -> Bool
    /// A sentence for an error that the host has thrown.
    func text(of error: any Error) -> String
}

/// gdb's part of the adapter, a Python script.
public enum DebuggerScript {
    /// The file's contents.
    public static var contents: [UInt8] { PackageResources.ttdap_py }
}

/// A server of the Debug Adapter Protocol for one replay.
///
///     let adapter = Adapter(input: STDIN_FILENO, output: STDOUT_FILENO, host: host)
///     adapter.run()       // until the client disconnects or its stream ends
///
/// Requests come from an editor, looks and moves go to gdb, and gdb goes to the replay's own server, which knows how to go back
/// (`DebuggerServer`). One thread serves the client; another replays the run.
///
/// Source: Debug Adapter Protocol 1.65.
public final class Adapter {
    /// Where the session is.
    enum Phase: Equatable {
        /// Nothing is launched.
        case idle
        /// The run is opened, QEMU and gdb start.
        case launches
        /// The client sets breakpoints.
        case isConfigured
        case stopped
        case runs
        case ended
    }

    let host: any ReplayHost
    private let input: Int32
    private let output: Int32
    /// Receives one line for each message and each line of gdb.
    public var log: ((String) -> Void)?
    /// The commands `tt …` that completions offer; a space follows one that takes an argument.
    public var commands: [String] = []

    var phase = Phase.idle
    var client = ClientOptions()
    var launch: (request: Request, arguments: LaunchArguments)?
    var link: ReplayLink?
    var debugger: Debugger?
    private var debuggerOutput: Int32 = -1
    private var reader = MessageReader()
    private var lastNumber: Int64 = 0
    private(set) var isDone = false
    private var hasReportedEnd = false

    var motion = Motion()
    var work: Work?
    var workCount = 0
    var sourceNumbers: [String: Int] = [:]
    var sourcePaths: [String] = []

    /// Serves a client on two descriptors.
    public init(input: Int32, output: Int32, host: any ReplayHost) {
        self.input = input
        self.output = output
        self.host = host
    }

    // MARK: The loop

    /// Serves the client until it disconnects, its stream ends, or the host ends.
    public func run() {
        while !isDone {
            waitForInput()
            if !host.goesOn() { isDone = true }
            if let link { look(at: link) }
            reportProgress()
        }
        stop(nil)
    }

    private func waitForInput() {
        var polled = [pollfd(fd: input, events: Int16(POLLIN), revents: 0)]
        polled.append(pollfd(fd: debuggerOutput, events: Int16(POLLIN), revents: 0))
        polled.append(pollfd(fd: link?.wakeDescriptor ?? -1, events: Int16(POLLIN), revents: 0))
        guard poll(&polled, nfds_t(polled.count), 100) > 0 else { return }
        if polled[2].revents != 0 { link?.wasWoken() }
        if polled[1].revents != 0 { receiveFromDebugger() }
        if polled[0].revents != 0 { receiveFromClient() }
    }

    private func receiveFromDebugger() {
        let bytes = Descriptor.read(debuggerOutput)
        if bytes.isEmpty { return stop("gdb has ended") }
        debugger?.receive(bytes)
    }

    private func receiveFromClient() {
        let bytes = Descriptor.read(input)
        guard !bytes.isEmpty else {
            isDone = true
            return
        }
        reader.append(bytes)
        do {
            while !isDone, let item = try reader.next() {
                switch item {
                case .problem(let text): tell("the client's message is skipped: \(text)", "important")
                case .message(let body): take(body)
                }
            }
        } catch {
            tell("the client's stream cannot be read: \(error)", "important")
            isDone = true
        }
    }

    private func take(_ body: [UInt8]) {
        log?("client: \(String(decoding: body, as: UTF8.self))")
        do throws(RequestError) {
            guard let request = try Request(body) else { return }
            guard let handler = Adapter.handlers[request.command] else {
                return refuse(request, "tt-dap has no request \(request.command)")
            }
            do throws(RequestError) { try handler(self)(request) } catch { refuse(request, error.description) }
        } catch {
            tell("the client's message is skipped: \(error)", "important")
        }
    }

    /// The requests.
    private static let handlers: [String: @Sendable (Adapter) -> (Request) throws(RequestError) -> Void] = [
        "initialize": initialize, "launch": launch, "attach": attach, "configurationDone": configurationDone,
        "disconnect": disconnect, "terminate": terminate, "restart": restart, "threads": threads,
        "continue": continues, "reverseContinue": reverseContinues, "next": next, "stepIn": stepIn,
        "stepOut": stepOut, "stepBack": stepBack, "pause": pause, "gotoTargets": gotoTargets, "goto": goes,
        "cancel": cancel, "setBreakpoints": setBreakpoints, "setFunctionBreakpoints": setFunctionBreakpoints,
        "setInstructionBreakpoints": setInstructionBreakpoints, "setDataBreakpoints": setDataBreakpoints,
        "setExceptionBreakpoints": setExceptionBreakpoints, "dataBreakpointInfo": dataBreakpointInfo,
        "stackTrace": stackTrace, "scopes": scopes, "variables": variables, "evaluate": evaluate,
        "completions": completions, "disassemble": disassemble, "readMemory": readMemory, "source": source,
    ]

    // MARK: Messages out

    /// Answers a request.
    func answer(_ request: Request, _ body: JSONValue? = nil) {
        send(
            JSONValue.object(["type": .string("response"), "success": .bool(true)]).adding([
                "request_seq": .integer(request.number), "command": .string(request.command), "body": body,
            ]))
    }

    /// Answers a request with an error.
    func refuse(_ request: Request, _ message: String) {
        let error = JSONValue.object([
            "id": .integer(1), "format": .string(message), "showUser": .bool(request.command == "launch"),
        ])
        send(
            .object([
                "type": .string("response"), "success": .bool(false), "request_seq": .integer(request.number),
                "command": .string(request.command), "message": .string(message),
                "body": .object(["error": error]),
            ]))
    }

    /// Sends an event.
    func report(_ event: String, _ body: JSONValue = .object([:])) {
        send(.object(["type": .string("event"), "event": .string(event), "body": body]))
    }

    /// Shows a text on the client's console.
    func tell(_ text: String, _ category: String = "console") {
        guard !text.isEmpty else { return }
        let line = text.hasSuffix("\n") ? text : text + "\n"
        report("output", .object(["category": .string(category), "output": .string(line)]))
    }

    private func send(_ message: JSONValue) {
        lastNumber += 1
        let body = message.adding(["seq": .integer(lastNumber)]).line
        log?("adapter: \(String(decoding: body, as: UTF8.self))")
        let header = Array("Content-Length: \(body.count)\r\n\r\n".utf8)
        // The client is gone: nobody waits for the run.
        if Files.write(header + body, to: output) != 0 { isDone = true }
    }

    // MARK: Beginning and end

    /// Takes over gdb's pipes.
    func connect(_ pipes: (input: Int32, output: Int32)) -> Debugger {
        let debugger = Debugger(output: pipes.input)
        debuggerOutput = pipes.output
        debugger.onText = { [unowned self] in tell($0) }
        debugger.onLine = { [unowned self] isSent, line in log?((isSent ? "to gdb: " : "gdb: ") + line) }
        self.debugger = debugger
        return debugger
    }

    /// Ends gdb and the replay, and reports it once.
    func stop(_ reason: String?) {
        guard phase != .ended else { return }
        let wasLaunching = phase == .launches
        phase = .ended
        endWork()
        link?.end()
        debugger?.end()
        if debuggerOutput >= 0 { close(debuggerOutput) }
        debuggerOutput = -1
        if wasLaunching, let launch { refuse(launch.request, reason ?? "the session was ended") }
        if let reason, !wasLaunching { tell(reason, "important") }
        host.stop()
        (debugger, link) = (nil, nil)
        if launch != nil { report("terminated") }
    }

    /// Ends the loop.
    func finish() { isDone = true }
}
