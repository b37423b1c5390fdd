// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// What the client has said of itself.
struct ClientOptions {
    /// The number of a file's first line, and of a line's first column.
    var firstLine: Int64 = 1
    var firstColumn: Int64 = 1
    /// Whether it shows progress.
    var hasProgress = false
}

/// The requests that begin and end a session.
extension Adapter {
    func initialize(_ request: Request) throws(RequestError) {
        if request.string("pathFormat") == "uri" { throw RequestError("paths in the form of URIs are not supported") }
        client.firstLine = request.arguments["linesStartAt1"]?.bool == false ? 0 : 1
        client.firstColumn = request.arguments["columnsStartAt1"]?.bool == false ? 0 : 1
        client.hasProgress = request.arguments["supportsProgressReporting"]?.bool ?? false
        let abilities = [
            "ConfigurationDoneRequest", "FunctionBreakpoints", "ConditionalBreakpoints", "HitConditionalBreakpoints",
            "EvaluateForHovers", "StepBack", "GotoTargetsRequest", "CompletionsRequest",
            "DelayedStackTraceLoading", "LogPoints", "DataBreakpoints", "ReadMemoryRequest", "DisassembleRequest",
            "CancelRequest", "SteppingGranularity", "InstructionBreakpoints", "TerminateRequest", "RestartRequest",
            "ValueFormattingOptions", "ClipboardContext",
        ]
        var body: [String: JSONValue] = ["completionTriggerCharacters": .array([.string("."), .string(" ")])]
        for ability in abilities { body["supports\(ability)"] = .bool(true) }
        answer(request, .object(body))
    }

    func launch(_ request: Request) throws(RequestError) {
        guard phase == .idle else { throw RequestError("a run is launched already") }
        let arguments = try LaunchArguments(request.arguments)
        guard !arguments.sourceMap.contains(where: { ($0.from + $0.to).contains("\n") }) else {
            throw RequestError("a directory of sourceMap has a line end in its name")
        }
        let link = ReplayLink()
        do { try host.start(arguments, link) } catch { throw RequestError(host.text(of: error)) }
        (launch, self.link, phase) = ((request, arguments), link, .launches)
        beginWork("Replaying to \(arguments.place)")
    }

    func attach(_ request: Request) throws(RequestError) {
        throw RequestError("tt-dap attaches to nothing: it replays a run itself (request launch with the argument run)")
    }

    /// Looks what the replaying thread reports.
    func look(at link: ReplayLink) {
        for note in link.takeNotes() { tell(note) }
        switch link.state {
        case .starts: break
        case .ended(let reason): stop(reason ?? "the replay has ended")
        case .ready(let commands, let slide, let script):
            guard debugger == nil, phase == .launches, let launch else { return }
            do {
                let debugger = connect(try host.startDebugger(launch.arguments, script: script))
                let maps = launch.arguments.sourceMap.map {
                    "set substitute-path \(Adapter.quoted($0.from)) \(Adapter.quoted($0.to))"
                }
                let list = (maps + commands).map { JSONValue.string($0) }
                debugger.ask("setup", ["commands": .array(list), "slide": .integer(slide)]) { [unowned self] in
                    isConnected($0)
                }
            } catch {
                stop(host.text(of: error))
            }
        }
    }

    /// A word of a gdb command.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    private func isConnected(_ result: Result<JSONValue, RequestError>) {
        guard phase == .launches else { return }
        switch result {
        case .failure(let error):
            let isMissing = error.description.contains("Undefined MI command")
            stop(isMissing ? "gdb has no Python, or is older than version 12" : error.description)
        case .success(let answer):
            for warning in answer["warnings"]?.array ?? [] { tell(warning.string ?? "", "important") }
            endWork()
            phase = .isConfigured
            report("initialized")
        }
    }

    func configurationDone(_ request: Request) throws(RequestError) {
        guard phase == .isConfigured, let launch, let debugger else { throw RequestError("no run is launched") }
        answer(request)
        answer(launch.request)
        phase = .stopped
        debugger.ask("stop") { [unowned self] result in
            motion.hasLine = (try? result.get())?["hasLine"]?.bool ?? false
            if launch.arguments.stopsOnEntry {
                hasStopped("entry", description: "At \(launch.arguments.place)")
            } else {
                run("-exec-continue", "pause", nil)
            }
        }
    }

    /// Goes to the place of the launch again.
    func restart(_ request: Request) throws(RequestError) {
        guard let launch else { throw RequestError("no run is launched") }
        try travel(request, "goto \(launch.arguments.place)", reason: "entry")
    }

    func disconnect(_ request: Request) throws(RequestError) {
        stop(nil)
        answer(request)
        finish()
    }

    /// Ends the replay; the client disconnects then.
    func terminate(_ request: Request) throws(RequestError) {
        answer(request)
        stop(nil)
    }

    /// The one processor of the runs that can be gone through.
    func threads(_ request: Request) throws(RequestError) {
        let thread = JSONValue.object(["id": .integer(1), "name": .string("vCPU 0")])
        answer(request, .object(["threads": .array([thread])]))
    }
}
