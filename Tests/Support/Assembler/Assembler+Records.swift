// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

extension Assembler {
    mutating func branch(_ line: SourceLine) throws {
        let from = try number(line.word(1, "address"), line)
        guard try line.word(2, "->") == "->" else { throw line.error("-> expected") }
        let to = try number(line.word(3, "address"), line)
        var label = BranchLabel(.jcc, hasStaticTarget: true)
        var step: UInt64 = 1
        for word in line.words.dropFirst(4) {
            if word.hasPrefix("+") {
                step = try number(word.dropFirst(), line)
            } else if let named = BranchLabel(name: String(word)) {
                label = named
            } else {
                throw line.error("no such label: \(word)")
            }
        }
        let icount = icount &+ step
        icounts[vcpu] = icount
        try open().branch(vcpu: vcpu, from: from, to: to, icount: icount, label: label)
    }

    mutating func event(_ line: SourceLine, stream: LogStream) throws {
        guard let kind = EventKind(name: String(try line.word(1, "kind"))) else {
            throw line.error("no such kind: \(line.words[1])")
        }
        var event = Event(stream: stream, vcpu: vcpu, kind: kind)
        try setDefaults(&event)
        var words: [UInt64] = []
        for field in line.words.dropFirst(2) where try !set(field, of: &event, words: &words, line) {
            throw line.error("no such field: \(field)")
        }
        event.payload = Event.payload(words: words) + event.payload
        guard try open().event(event) else { throw line.error("the writer refused the record") }
    }

    mutating func meta(_ line: SourceLine) throws {
        let writer = try open()
        switch line.words[0] {
        case "attribute":
            let parts = line.rest(from: 1).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw line.error("KEY=VALUE expected") }
            writer.attribute(String(parts[0]), String(parts[1]))
        case "annotation": writer.meta(.annotation, info: UInt32(vcpu), text: line.rest(from: 1))
        case "run-end":
            let name = try line.word(1, "reason")
            guard let reason = (0..<64).map({ RunEnd(rawValue: $0) }).first(where: { $0.name == name }) else {
                throw line.error("no such reason: \(name)")
            }
            writer.runEnd(reason, text: line.rest(from: 2))
        case "lost":
            let name = try line.word(1, "stream")
            guard let stream = LogStream.allCases.first(where: { $0.name == name }) else {
                throw line.error("no such stream: \(name)")
            }
            let count = try number(line.word(2, "count"), line)
            let words = [UInt64(stream.rawValue), count, writer.clock(vcpu: vcpu)]
            writer.event(
                Event(
                    stream: .meta, vcpu: noVCPU, kind: .lost, validity: .value, info: UInt32(vcpu),
                    payload: Event.payload(words: words)))
        default: try comparableEnd(line)
        }
    }

    private mutating func comparableEnd(_ line: SourceLine) throws {
        var event = Event(stream: .meta, vcpu: noVCPU, kind: .comparableEnd, info: UInt32(vcpu))
        try setDefaults(&event)
        var first = 1
        var words: [UInt64] = []
        while first < line.words.count, try set(line.words[first], of: &event, words: &words, line) { first += 1 }
        event.payload = Array(line.rest(from: first).utf8)
        guard try open().event(event) else { throw line.error("the writer refused the record") }
    }

    /// The position after the last branch.
    private mutating func setDefaults(_ event: inout Event) throws {
        event.clock = try open().clock(vcpu: vcpu)
        if options.features.contains(.icount) {
            event.validity.insert(.icount)
            event.icount = icount
        }
    }

    /// Sets a field. Returns false if the text is none.
    private func set(
        _ field: Substring, of event: inout Event, words: inout [UInt64], _ line: SourceLine
    ) throws -> Bool {
        if field.hasPrefix("+") {
            event.icount = icount &+ (try number(field.dropFirst(), line))
            return true
        }
        let parts = field.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { return false }
        let value = parts[1]
        switch parts[0] {
        case "ip": (event.ip, event.validity) = (try number(value, line), event.validity.union(.ip))
        case "info": event.info = UInt32(truncatingIfNeeded: try number(value, line))
        case "rcx": (event.aux, event.validity) = (try number(value, line), event.validity.union(.rcx))
        case "registers": (event.aux, event.validity) = (try number(value, line), event.validity.union(.registers))
        case "tsc": (event.tsc, event.validity) = (try number(value, line), event.validity.union(.tsc))
        case "clock": event.clock = try number(value, line)
        case "icount" where value == "none": (event.icount, event.validity) = (0, event.validity.subtracting(.icount))
        case "icount": (event.icount, event.validity) = (try number(value, line), event.validity.union(.icount))
        case "address":
            words.insert(try number(value, line), at: 0)
            event.validity.insert(.address)
        case "value":
            words.append(try number(value, line))
            event.validity.insert(.value)
        case "payload": event.payload = try bytes(value, line)
        case "private": event.privatePayload = try bytes(value, line)
        default: return false
        }
        return true
    }

    private func bytes(_ digits: Substring, _ line: SourceLine) throws -> [UInt8] {
        let values = digits.compactMap(\.hexDigitValue)
        guard values.count == digits.count, values.count % 2 == 0 else {
            throw line.error("pairs of hexadecimal digits expected: \(digits)")
        }
        return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    }
}
