// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

@Suite("The table of event kinds")
struct EventTableTests {
    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: packageRoot + "/" + path, encoding: .utf8)
    }

    @Test("ttlog.h numbers the same kinds")
    func header() throws {
        let text = try EventTableTests.text("Sources/CTTLog/include/ttlog.h")
        let pattern = /TTLOG_EVENT_([A-Z_]+) = ([0-9]+),/
        let numbers = text.matches(of: pattern).map { (String($0.1), UInt16($0.2)!) }.filter { $0.0 != "COLUMNS" }
        #expect(numbers.count == EventDefinition.all.count)
        for (name, number) in numbers {
            let expected = name.lowercased().replacing("_", with: "-")
            #expect(EventKind(rawValue: number).name == expected)
        }
    }

    @Test("docs/log-format.md has a row for each kind")
    func documentation() throws {
        let rows = try EventTableTests.text("docs/log-format.md").split(separator: "\n")
        for definition in EventDefinition.all {
            let start = "| \(definition.kind.rawValue) | \(definition.name) | \(definition.stream.name) | "
            #expect(rows.count { $0.hasPrefix(start) } == 1, "\(start)")
        }
    }

    @Test("the second reader knows the same kinds, under the same names")
    func secondReader() throws {
        let text = try EventTableTests.text("Tests/SecondReader/kinds.py")
        let kinds = text.matches(of: /([0-9]+): "([a-z-]+)",/).map { (UInt16($0.1)!, String($0.2)) }
        #expect(kinds.map(\.0) == EventDefinition.all.map(\.kind.rawValue))
        #expect(kinds.map(\.1) == EventDefinition.all.map(\.name))
    }

    @Test("field names are words that SQL takes, and unique in their kind")
    func fieldNames() {
        for definition in EventDefinition.all {
            let names = definition.fields.map(\.name)
            #expect(Set(names).count == names.count, "\(definition.name)")
            #expect(names.allSatisfy { $0.wholeMatch(of: /[a-z][a-z0-9_]*/) != nil }, "\(names)")
            #expect(definition.name.wholeMatch(of: /[a-z]+(-[a-z]+)*/) != nil)
            #expect(definition.summary.hasSuffix("."))
            #expect(definition.fields.allSatisfy { !$0.summary.isEmpty && !$0.summary.hasSuffix(".") })
        }
    }

    @Test("meta records are never compared; fields of other streams are")
    func classes() {
        for definition in EventDefinition.all {
            for field in definition.fields where definition.stream == .meta {
                #expect(field.comparison == .never, "\(definition.name).\(field.name)")
            }
            for field in definition.fields where definition.stream != .meta {
                #expect(field.comparison != .never, "\(definition.name).\(field.name)")
            }
        }
    }

    @Test("every field of every kind is in the event's details")
    func details() {
        for definition in EventDefinition.all {
            for field in definition.fields {
                let event = EventTableTests.event(definition, with: field)
                let shown = event.details { _ in "" }
                let value = field.value(in: event)
                #expect(value != nil, "\(definition.name).\(field.name)")
                if case .flag = value {
                    #expect(shown.contains(field.name.replacingOccurrences(of: "_", with: " ")))
                } else {
                    #expect(shown.contains(value?.text ?? "?"), "\(definition.name).\(field.name): \(shown)")
                }
            }
        }
    }

    /// An event in which the field has a value of its own.
    private static func event(_ definition: EventDefinition, with field: EventField) -> Event {
        var event = Event(stream: definition.stream, kind: definition.kind)
        switch field.source {
        case .info(let shift, _): event.info = 1 << UInt32(shift)
        case .address(let shift, _):
            event.validity = .address
            event.payload = Event.payload(words: [5 << UInt64(shift)])
        case .value(let index, let shift, _):
            event.validity = .value
            event.payload = Event.payload(words: Array(repeating: 0, count: index) + [3 << UInt64(shift)])
        case .values(let first):
            event.validity = .value
            event.payload = Event.payload(words: Array(repeating: 7, count: first + 2))
        case .flagged(let bit):
            event.validity = .value
            event.info = 1 << bit
            event.payload = Event.payload(words: [9])
        case .text, .bytes: event.payload = Array("words".utf8)
        case .key, .textAfterKey: event.payload = Array("key\0words".utf8)
        }
        return event
    }

    @Test(
        "details in words",
        arguments: [
            (Event(stream: .event, kind: .interrupt, info: .max), "vector unknown"),
            (
                Event(
                    stream: .event, kind: .interrupt, validity: .value, info: 32, payload: Event.payload(words: [0xff])),
                "vector 32 -> 0xff <f>"
            ),
            (
                Event(
                    stream: .access, kind: .portWrite, validity: [.address, .value], info: 0x101,
                    payload: Event.payload(words: [0x3f8, 0x41])), "port 0x3f8, 1 byte, string, value 0x41"
            ),
            (
                Event(
                    stream: .event, kind: .state, validity: .value, info: 1 << 31 | 9,
                    payload: Event.payload(words: [1, 2, 3])), "registers 0x1, cr2 and cr3 0x2, state-31 0x3"
            ),
            (
                Event(
                    stream: .event, kind: .exit, validity: .value, info: 1 << 24 | 0x10005,
                    payload: Event.payload(words: [0x75bcd15, 3, 2])), "rdtsc, rax 0x75bcd15, rdx 0x3, step 0x2"
            ),
            (
                Event(
                    stream: .event, kind: .foreignWrite, validity: [.address, .value], info: 2 << 8 | 3,
                    payload: Event.payload(words: [0x10, 0x6161])), "console, at 0x10, 2 bytes, contents 0x6161"
            ),
            (
                Event(
                    stream: .event, kind: .foreignRead, validity: [.address, .value], info: 66,
                    payload: Event.payload(words: [0x1000, 0x2a])), "at 0x1000, 66 bytes, digest 0x2a"
            ),
            (
                Event(
                    stream: .event, kind: .pageDigests, validity: [.address, .value],
                    payload: Event.payload(words: [0x40] + Array(repeating: 0, count: 17))),
                "from page 0x40, digests " + String(repeating: "0x0 ", count: 16) + "… (17 words)"
            ),
            (Event(stream: .meta, kind: .attribute, payload: Array("k\0v".utf8)), "k=v"),
            (Event(stream: .meta, kind: .attribute, payload: Array("k".utf8)), "k"),
            (Event(stream: .meta, kind: .runEnd, info: 99), "reason-99"),
            (
                Event(stream: .event, kind: EventKind(rawValue: 77), info: 5, payload: [1, 0xab]),
                "info 5, payload 01 ab"
            ),
        ])
    func words(event: Event, expected: String) {
        #expect(event.details { _ in " <f>" } == expected)
    }
}
