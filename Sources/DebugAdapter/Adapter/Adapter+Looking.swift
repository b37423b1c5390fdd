// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// The requests that look at the stopped guest.
extension Adapter {
    /// Asks gdb, and answers a request with what it says.
    func look(
        _ request: Request, _ name: String, _ arguments: [String: JSONValue?],
        body: @escaping (JSONValue) -> JSONValue = { $0 }
    ) throws(RequestError) {
        let debugger = try stoppedDebugger()
        debugger.ask(name, arguments, owner: request.number) { [unowned self] result in
            switch result {
            case .failure(let error): refuse(request, error.description)
            case .success(let found): answer(request, body(found))
            }
        }
    }

    func stackTrace(_ request: Request) throws(RequestError) {
        let arguments: [String: JSONValue?] = [
            "start": .integer(request.count("startFrame")), "levels": .integer(request.count("levels")),
        ]
        try look(request, "stack", arguments) { [unowned self] found in
            let frames = (found["frames"]?.array ?? []).map { frame($0) }
            return .object(["stackFrames": .array(frames), "totalFrames": found["total"] ?? .integer(0)])
        }
    }

    private func frame(_ found: JSONValue) -> JSONValue {
        let isInlined = found["inlined"]?.bool ?? false
        let name = (found["name"]?.string ?? "??") + (isInlined ? " [inlined]" : "")
        let row = JSONValue.object(["name": .string(name), "column": .integer(client.firstColumn)])
        let place = withSource(found)
        return row.adding([
            "id": found["id"], "line": place["line"] ?? .integer(0), "source": place["source"],
            "instructionPointerReference": found["pc"],
            "presentationHint": place["source"] == nil ? .string("subtle") : nil,
        ])
    }

    /// Replaces `path` and `exists` by a source, and counts lines as the client does.
    func withSource(_ row: JSONValue) -> JSONValue {
        var members = row.members
        if let line = members["line"]?.integer { members["line"] = .integer(line &+ client.firstLine &- 1) }
        let exists = members.removeValue(forKey: "exists")?.bool ?? true
        guard let path = members.removeValue(forKey: "path")?.string else { return .object(members) }
        let name = path.split(separator: "/").last.map(String.init) ?? path
        var source: [String: JSONValue] = ["name": .string(name), "path": .string(path)]
        if !exists {
            source["sourceReference"] = .number(number(of: path))
            source["presentationHint"] = .string("deemphasize")
            source["origin"] = .string("not on this machine: see sourceMap")
        }
        members["source"] = .object(source)
        return .object(members)
    }

    private func number(of path: String) -> Int {
        if let number = sourceNumbers[path] { return number }
        sourcePaths.append(path)
        sourceNumbers[path] = sourcePaths.count
        return sourcePaths.count
    }

    func source(_ request: Request) throws(RequestError) {
        let number = request.arguments["source"]?["sourceReference"]?.integer ?? request.integer("sourceReference") ?? 0
        let known = number > 0 && number <= Int64(sourcePaths.count) ? sourcePaths[Int(number) - 1] : nil
        guard let path = known ?? request.arguments["source"]?["path"]?.string else {
            throw RequestError("no source has the number \(number)")
        }
        try look(request, "source", ["path": .string(path)])
    }

    func scopes(_ request: Request) throws(RequestError) {
        try look(request, "scopes", ["frame": .integer(try request.requiredInteger("frameId"))])
    }

    func variables(_ request: Request) throws(RequestError) {
        let arguments: [String: JSONValue?] = [
            "reference": .integer(try request.requiredInteger("variablesReference")),
            "start": .integer(request.count("start")), "count": .integer(request.count("count")),
            "filter": .string(request.string("filter") ?? ""), "hexadecimal": .bool(request.isHexadecimal),
        ]
        try look(request, "variables", arguments)
    }

    // MARK: Expressions

    /// Characters of an expression, at most.
    private static let longestExpression = 16 << 10

    /// In the context `repl`, `tt …` are the replay's own commands, and `-exec …` are gdb's.
    func evaluate(_ request: Request) throws(RequestError) {
        let text = try request.required("expression")
        guard text.utf8.count <= Adapter.longestExpression else { throw RequestError("the expression is too long") }
        let frame = request.integer("frameId").map { JSONValue.integer($0) }
        if request.string("context") == "repl" {
            let words = text.split(separator: " ", maxSplits: 1)
            let rest = words.count > 1 ? String(words[1]) : ""
            if words.first == "tt" { return try command(request, "travel", ["command": .string(rest)]) }
            if words.first == "-exec" {
                return try command(request, "console", ["command": .string(rest), "frame": frame])
            }
        }
        let arguments: [String: JSONValue?] = [
            "expression": .string(text), "frame": frame, "hexadecimal": .bool(request.isHexadecimal),
        ]
        try look(request, "evaluate", arguments)
    }

    /// A command that may move the guest.
    private func command(_ request: Request, _ name: String, _ arguments: [String: JSONValue?]) throws(RequestError) {
        let debugger = try stoppedDebugger()
        link?.interrupt(false)
        motion.isPaused = false
        (motion.goesOn, motion.resumes) = (nil, nil)
        let before = phase
        phase = .runs
        beginWork("Replaying")
        work?.owner = request.number
        debugger.ask(name, arguments) { [unowned self] result in
            let text = (try? result.get())?["text"]?.string ?? ""
            hasTravelled(result, "goto") { error in
                if let error { return refuse(request, error) }
                answer(request, .object(["result": .string(text.trimmed), "variablesReference": .integer(0)]))
            }
            if phase == .stopped, before == .isConfigured { phase = before }
        }
    }

    func completions(_ request: Request) throws(RequestError) {
        let text = try request.required("text")
        guard text.utf8.count <= Adapter.longestExpression else { throw RequestError("the text is too long") }
        let column = try request.requiredInteger("column") &- client.firstColumn
        let words = commands.map { "tt \($0)" }
        let known = text.hasPrefix("tt") ? words.filter { $0.hasPrefix(text) } : []
        try look(request, "completions", ["text": .string(text), "column": .integer(min(max(column, 0), 1 << 20))]) {
            let own = known.map { word in
                JSONValue.object([
                    "label": .string(word), "start": .integer(0), "length": .number(text.unicodeScalars.count),
                ])
            }
            return .object(["targets": .array(own + ($0["targets"]?.array ?? []))])
        }
    }

    // MARK: Code and memory

    /// Instructions and bytes of one answer, at most.
    private static let (mostInstructions, mostBytes): (Int64, Int64) = (4096, 1 << 20)

    func disassemble(_ request: Request) throws(RequestError) {
        let count = request.count("instructionCount", upTo: Adapter.mostInstructions)
        let offset = request.integer("instructionOffset") ?? 0
        guard abs(offset.clampedMagnitude) <= Adapter.mostInstructions else {
            throw RequestError("an offset of more than \(Adapter.mostInstructions) instructions")
        }
        let arguments: [String: JSONValue?] = [
            "address": .address(try request.address()), "offset": .integer(offset), "count": .integer(count),
        ]
        try look(request, "disassemble", arguments) { [unowned self] found in
            let rows = (found["instructions"]?.array ?? []).map { row in
                let place = withSource(row)
                return place.removing("source").adding(["location": place["source"]])
            }
            return .object(["instructions": .array(rows)])
        }
    }

    func readMemory(_ request: Request) throws(RequestError) {
        let count = request.count("count", upTo: Adapter.mostBytes)
        let arguments: [String: JSONValue?] = ["address": .address(try request.address()), "count": .integer(count)]
        try look(request, "memory", arguments) { found in
            let read = found["read"]?.integer ?? 0
            return found.removing("read").adding(["unreadableBytes": read < count ? .integer(count - read) : nil])
        }
    }
}

extension Int64 {
    /// The magnitude, or the largest number.
    fileprivate var clampedMagnitude: Int64 { Int64(clamping: magnitude) }
}

extension String {
    /// Without the line ends at its end.
    fileprivate var trimmed: String {
        var text = self[...]
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
