// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// How the guest moves.
struct Motion {
    /// Whether debug information has a line for the place of the last stop.
    var hasLine = false
    /// Whether the client has asked for a pause since the guest began to run.
    var isPaused = false
    /// gdb's command that goes on after the client's breakpoints were set, where it can.
    var goesOn: String?
    /// gdb's command, if the guest stops only to set breakpoints.
    var resumes: String?
    /// What `goto` may go to.
    var targets: [Int64: Target] = [:]
    var lastTarget: Int64 = 0

    enum Target {
        case line(path: String, line: Int64, isBack: Bool)
        case place(String)
    }
}

/// The requests that move the guest.
extension Adapter {
    func continues(_ request: Request) throws(RequestError) {
        try move(request, "-exec-continue", reason: "pause", body: .object(["allThreadsContinued": .bool(true)]))
    }

    func reverseContinues(_ request: Request) throws(RequestError) {
        try move(request, "-exec-continue --reverse", reason: "pause")
    }

    func next(_ request: Request) throws(RequestError) {
        try move(request, isByInstruction(request) ? "-exec-next-instruction" : "-exec-next", reason: "step")
    }

    func stepIn(_ request: Request) throws(RequestError) {
        try move(request, isByInstruction(request) ? "-exec-step-instruction" : "-exec-step", reason: "step")
    }

    func stepOut(_ request: Request) throws(RequestError) { try move(request, "-exec-finish", reason: "step") }

    /// Back by a source line, over calls.
    func stepBack(_ request: Request) throws(RequestError) {
        let command = isByInstruction(request) ? "-exec-next-instruction" : "-exec-next"
        try move(request, "\(command) --reverse", reason: "step")
    }

    /// Code without lines is stepped by instructions: gdb would run to the function's end.
    private func isByInstruction(_ request: Request) -> Bool {
        request.string("granularity") == "instruction" || !motion.hasLine
    }

    private func move(
        _ request: Request, _ command: String, reason: String, body: JSONValue? = nil
    ) throws(RequestError) {
        _ = try stoppedDebugger()
        run(command, reason, request, body)
    }

    /// gdb, if it can be asked now.
    func stoppedDebugger() throws(RequestError) -> Debugger {
        switch phase {
        case .idle, .launches: throw RequestError("no run is launched")
        case .runs: throw RequestError("the guest is running")
        case .ended: throw RequestError("the session has ended")
        case .isConfigured, .stopped: break
        }
        guard let debugger else { throw RequestError("no run is launched") }
        return debugger
    }

    /// Moves the guest by gdb's command, answers the request when it runs, and reports where it stops.
    func run(_ command: String, _ reason: String, _ request: Request?, _ body: JSONValue? = nil) {
        beginMove(command.hasPrefix("-exec-continue") ? command : nil, command.hasSuffix("--reverse"))
        let begins: () -> Void = { [unowned self] in if let request { answer(request, body) } }
        debugger?.move(command, begins: begins) { [unowned self] result in
            switch result {
            case .success(let stop): lookWhy(reason, isAtEnd: stop.isAtEnd, isBack: command.hasSuffix("--reverse"))
            case .failure(let error):
                endWork()
                guard phase == .runs else { return }
                phase = .stopped
                if let request { refuse(request, error.description) } else { tell(error.description, "important") }
            }
        }
    }

    private func beginMove(_ command: String?, _ isBack: Bool) {
        link?.interrupt(false)
        (motion.isPaused, motion.goesOn, motion.resumes) = (false, command, nil)
        phase = .runs
        // A guest that goes on after breakpoints were set goes on with the same work.
        if work == nil { beginWork(isBack ? "Going back" : "Replaying") }
    }

    /// Asks why the guest has stopped, and reports it.
    private func lookWhy(_ reason: String, isAtEnd: Bool, isBack: Bool) {
        link?.interrupt(false)
        debugger?.ask("stop") { [unowned self] result in
            guard phase == .runs else { return }
            let answer = (try? result.get()) ?? .object([:])
            motion.hasLine = answer["hasLine"]?.bool ?? false
            let kind = answer["kind"]?.string ?? "step"
            if let command = motion.resumes, !motion.isPaused, kind == "SIGINT" {
                return run(command, reason, nil)
            }
            endWork()
            let hits = answer["hits"]?.array ?? []
            switch kind {
            case "breakpoint": hasStopped("breakpoint", hits: hits)
            case "data": hasStopped("data breakpoint", hits: hits)
            case _ where isAtEnd:
                hasStopped(reason, description: isBack ? "At the beginning of the run" : "At the end of the run")
            case "step": hasStopped(motion.isPaused ? "pause" : reason)
            case _ where motion.isPaused: hasStopped("pause")
            default: hasStopped("pause", description: "Stopped by \(kind)")
            }
        }
    }

    /// Reports that the guest has stopped.
    func hasStopped(_ reason: String, description: String? = nil, hits: [JSONValue] = []) {
        phase = .stopped
        motion.targets = [:]
        let body = JSONValue.object([
            "reason": .string(reason), "threadId": .integer(1), "allThreadsStopped": .bool(true),
        ])
        report(
            "stopped",
            body.adding([
                "description": description.map { .string($0) },
                "hitBreakpointIds": hits.isEmpty ? nil : .array(hits),
            ]))
    }

    func pause(_ request: Request) throws(RequestError) {
        answer(request)
        guard phase == .runs else { return }
        motion.isPaused = true
        link?.interrupt(true)
    }

    /// Ends a request that waits, or what is running.
    func cancel(_ request: Request) throws(RequestError) {
        let isQueued = request.integer("requestId").map { debugger?.cancel($0) ?? false } ?? false
        let isWork = work.map { $0.isNamed(request.string("progressId"), request.integer("requestId")) } ?? false
        answer(request)
        guard !isQueued, isWork else { return }
        if phase == .launches { return stop("cancelled") }
        motion.isPaused = true
        link?.interrupt(true)
    }

    // MARK: Places

    /// Goes to a place by a command of the replay's server, and reports the stop.
    func travel(_ request: Request, _ command: String, reason: String) throws(RequestError) {
        let debugger = try stoppedDebugger()
        beginMove(nil, false)
        work?.owner = request.number
        debugger.ask("travel", ["command": .string(command)]) { [unowned self] result in
            hasTravelled(result, reason) { if let error = $0 { refuse(request, error) } else { answer(request) } }
        }
    }

    /// The end of a request that may have moved the guest.
    func hasTravelled(_ result: Result<JSONValue, RequestError>, _ reason: String, _ reply: (String?) -> Void) {
        endWork()
        guard phase == .runs else { return reply("the session has ended") }
        phase = .stopped
        switch result {
        case .failure(let error): reply(error.description)
        case .success(let answer):
            let text = answer["text"]?.string ?? ""
            reply(text.hasPrefix("error:") ? String(text.dropFirst(7).prefix { $0 != "\n" }) : nil)
            guard answer["moved"]?.bool ?? false else { return }
            phase = .runs
            debugger?.ask("stop") { [unowned self] result in
                guard phase == .runs else { return }
                motion.hasLine = (try? result.get())?["hasLine"]?.bool ?? false
                hasStopped(motion.isPaused ? "pause" : reason)
            }
        }
    }

    /// Targets of a line: the next and the last time that it begins. The argument `place` names any place instead.
    func gotoTargets(_ request: Request) throws(RequestError) {
        let debugger = try stoppedDebugger()
        if let place = request.string("place") {
            return answer(
                request, .object(["targets": .array([target(.place(place), place, request.integer("line"))])]))
        }
        guard let path = request.arguments["source"]?["path"]?.string else {
            throw RequestError("a source needs a path")
        }
        let line = try request.requiredInteger("line") - client.firstLine + 1
        debugger.ask("has_code", ["path": .string(path), "line": .integer(line)], owner: request.number) {
            [unowned self] result in
            switch result {
            case .failure(let error): refuse(request, error.description)
            case .success(let found):
                guard let line = found["line"]?.integer, line > 0 else {
                    return answer(request, .object(["targets": .array([])]))
                }
                let shown = line + client.firstLine - 1
                let targets = [
                    target(
                        .line(path: path, line: line, isBack: false), "the next time that line \(line) begins", shown),
                    target(.line(path: path, line: line, isBack: true), "the last time that line \(line) began", shown),
                ]
                answer(request, .object(["targets": .array(targets)]))
            }
        }
    }

    private func target(_ target: Motion.Target, _ label: String, _ line: Int64?) -> JSONValue {
        motion.lastTarget += 1
        if motion.targets.count < 1000 { motion.targets[motion.lastTarget] = target }
        return .object([
            "id": .integer(motion.lastTarget), "label": .string(label), "line": .integer(line ?? client.firstLine),
        ])
    }

    func goes(_ request: Request) throws(RequestError) {
        let debugger = try stoppedDebugger()
        guard let target = motion.targets[try request.requiredInteger("targetId")] else {
            throw RequestError("this target belongs to an earlier stop")
        }
        switch target {
        case .place(let place): try travel(request, "goto \(place)", reason: "goto")
        case .line(let path, let line, let isBack):
            beginMove(nil, isBack)
            work?.owner = request.number
            answer(request)
            let arguments: [String: JSONValue] = [
                "path": .string(path), "line": .integer(line), "reverse": .bool(isBack),
            ]
            debugger.ask("run_to_line", arguments) { [unowned self] result in
                hasTravelled(result, "goto") { if let error = $0 { tell(error, "important") } }
            }
        }
    }
}
