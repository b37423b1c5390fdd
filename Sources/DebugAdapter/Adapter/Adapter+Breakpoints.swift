// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// The requests about breakpoints. Each replaces all breakpoints of its kind.
extension Adapter {
    /// Breakpoints of one request, at most.
    private static let most = 1000

    func setBreakpoints(_ request: Request) throws(RequestError) {
        guard let path = request.arguments["source"]?["path"]?.string else {
            throw RequestError("a breakpoint needs a source with a path")
        }
        let items = request.list("breakpoints").map { item in
            Adapter.kept(item, ["condition", "hitCondition", "logMessage"]).adding([
                "line": .integer((item["line"]?.integer ?? 0) &- client.firstLine &+ 1)
            ])
        }
        try set(request, "source", items, path)
    }

    func setFunctionBreakpoints(_ request: Request) throws(RequestError) {
        try set(
            request, "function",
            request.list("breakpoints").map { Adapter.kept($0, ["name", "condition", "hitCondition"]) })
    }

    func setInstructionBreakpoints(_ request: Request) throws(RequestError) {
        let members = ["instructionReference", "condition", "hitCondition"]
        try set(
            request, "instruction",
            request.list("breakpoints").map {
                Adapter.kept($0, members).adding(["offset": .integer($0["offset"]?.integer ?? 0)])
            })
    }

    func setDataBreakpoints(_ request: Request) throws(RequestError) {
        let members = ["dataId", "accessType", "condition", "hitCondition"]
        try set(request, "data", request.list("breakpoints").map { Adapter.kept($0, members) })
    }

    /// The guest's own exceptions stop nothing.
    func setExceptionBreakpoints(_ request: Request) throws(RequestError) {
        answer(request, .object(["breakpoints": .array([])]))
    }

    /// The string members by which breakpoints differ.
    private static func kept(_ item: JSONValue, _ names: [String]) -> JSONValue {
        var members: [String: JSONValue] = [:]
        for name in names { if let text = item[name]?.string, !text.isEmpty { members[name] = .string(text) } }
        return .object(members)
    }

    private func set(_ request: Request, _ kind: String, _ items: [JSONValue], _ path: String = "") throws(RequestError)
    {
        guard items.count <= Adapter.most else { throw RequestError("more than \(Adapter.most) breakpoints") }
        guard let debugger, phase != .launches, phase != .ended else { throw RequestError("no run is launched") }
        // gdb sets breakpoints while the guest is paused: it stops, and goes on after that.
        if phase == .runs, let command = motion.goesOn {
            motion.resumes = command
            link?.interrupt(true)
        }
        let arguments: [String: JSONValue] = [
            "kind": .string(kind), "items": .array(items), "source": .string(path),
        ]
        debugger.ask("breakpoints", arguments, owner: request.number) { [unowned self] result in
            switch result {
            case .failure(let error): refuse(request, error.description)
            case .success(let found):
                let list = (found["breakpoints"]?.array ?? []).map { withSource($0) }
                answer(request, .object(["breakpoints": .array(list)]))
            }
        }
    }

    func dataBreakpointInfo(_ request: Request) throws(RequestError) {
        let arguments: [String: JSONValue?] = [
            "name": .string(try request.required("name")),
            "reference": .integer(request.count("variablesReference", upTo: .max)),
            "frame": request.integer("frameId").map { .integer($0) },
        ]
        try look(request, "data_info", arguments)
    }
}
