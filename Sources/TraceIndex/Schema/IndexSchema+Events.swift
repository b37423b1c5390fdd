// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// Events, and one view for each kind, generated from the table of event kinds.
extension IndexSchema {
    /// The views whose rows are events.
    var eventViews: [ViewDefinition] {
        let rows =
            IndexSchema.positionColumns + [
                .init("rcx", .address, "rcx before the instruction; NULL if the log does not have it", "e.rcx"),
                .init("kind", .text, "the event's kind, as `tt-analyze events` prints it", "k.name"),
                .init("info", .integer, "the record's info word; its meaning depends on the kind", "e.info"),
                .init("details", .text, "the fields in words", EventDetailsSQL.expression("e")),
                .init("address", .address, "the address word; NULL without one", "e.address"),
                .init("value", .address, "the first value word; NULL without one", "e.v0"),
            ]
        let others: [ViewDefinition.Column] = [
            .init(
                "address_space", .address, "cr3 of the last context event up to here; NULL where the log has none",
                "(SELECT c.v0 FROM _event AS c WHERE c.kind = \(EventKind.context.rawValue) AND c.vcpu = e.vcpu "
                    + "AND c.brctr <= e.brctr ORDER BY c.brctr DESC, c.seq DESC LIMIT 1)"),
            .init("registers", .address, "digest of the registers; NULL if the log does not have it", "e.registers"),
            .init("epoch", .integer, "number of the stretch without a gap", "e.epoch"),
            .init("ticket", .integer, "the event's place in the order of all vCPUs' events", "e.ticket"),
            .init("tsc", .integer, "time stamp counter of the host; NULL where it is not known", "e.tsc"),
        ]
        let all = rows + IndexSchema.placeColumns + others
        return [
            ViewDefinition(
                "event", "One record of the event stream, in the order of each vCPU.",
                source: IndexSchema.joined("_event"), all),
            ViewDefinition(
                "access",
                "One record of the access stream: a port, device memory, a clock or a special register. Read from the "
                    + "log, unless the index was made with accesses as rows.",
                source: IndexSchema.joined(accessSource), all.filter { $0.name != "address_space" }),
            ViewDefinition(
                "note", "One record about the run: attributes, annotations, losses, how it ended.",
                source: IndexSchema.joined("_note"), all.filter { !["address_space", "rcx"].contains($0.name) }),
        ]
    }

    /// Where accesses are.
    private var accessSource: String {
        hasAccessRows ? "_access" : "\(AccessModule.name)(\(IndexSchema.literal(key)))"
    }

    /// Where the records of a stream are.
    private func source(_ stream: LogStream) -> String {
        switch stream {
        case .access: accessSource
        case .meta: "_note"
        default: "_event"
        }
    }

    /// One view for each kind of event, and those of kinds that belong together.
    var kindViews: [ViewDefinition] {
        let kinds = EventDefinition.all.map { definition in
            ViewDefinition(
                definition.name.split(separator: "-").joined(separator: "_"), definition.summary,
                source: IndexSchema.joined(source(definition.stream), where: "e.kind = \(definition.kind.rawValue)"),
                IndexSchema.positionColumns + definition.fields.flatMap(IndexSchema.columns)
                    + IndexSchema.placeColumns)
        }
        return kinds + [
            pageFaults,
            both("io", "Reads and writes of I/O ports.", .portRead, .portWrite),
            both("mmio", "Reads and writes of device memory.", .mmioRead, .mmioWrite),
            both("ram", "Reads and writes of RAM by instructions.", .ramRead, .ramWrite),
            both("msr", "Reads and writes of model-specific registers.", .rdmsr, .wrmsr),
        ]
    }

    private var pageFaults: ViewDefinition {
        func bit(_ name: String, _ shift: Int, _ meaning: String) -> ViewDefinition.Column {
            .init(name, .flag, meaning, "(e.v0 >> \(shift) & 1)")
        }
        return ViewDefinition(
            "page_fault", "Exceptions of vector 14.",
            source: IndexSchema.joined(
                "_event", where: "e.kind = \(EventKind.exception.rawValue) AND e.info = 14"),
            IndexSchema.positionColumns + [
                .init("fault_address", .address, "CR2: the address that was touched", "e.address"),
                .init("error_code", .integer, "the error code; NULL if the log does not have it", "e.v0"),
                bit("present", 0, "whether the page was present (a violation of its rights)"),
                bit("write", 1, "whether it was a write"), bit("user", 2, "whether user code touched it"),
                bit("fetch", 4, "whether it was the fetch of an instruction"),
            ] + IndexSchema.placeColumns)
    }

    /// A view of two kinds with the same fields.
    private func both(_ name: String, _ summary: String, _ read: EventKind, _ write: EventKind) -> ViewDefinition {
        let fields = read.definition?.fields ?? []
        let direction = ViewDefinition.Column(
            "direction", .text, "`read` or `write`", "iif(e.kind = \(read.rawValue), 'read', 'write')")
        return ViewDefinition(
            name, summary,
            source: IndexSchema.joined(
                source(read.usualStream), where: "e.kind IN (\(read.rawValue), \(write.rawValue))"),
            IndexSchema.positionColumns + [direction] + fields.flatMap(IndexSchema.columns)
                + IndexSchema.placeColumns)
    }

    // MARK: Parts

    /// Where an event is in the run.
    private static let positionColumns: [ViewDefinition.Column] = [
        .init("seq", .integer, "number of the record in its stream, from 1, vCPU after vCPU", "e.seq"),
        .init("vcpu", .integer, "the vCPU; NULL in records about the run", "e.vcpu"),
        .init("brctr", .integer, unit: "transitions", "transitions that the vCPU had made before", "e.brctr"),
        .init(
            "icount", .integer, unit: "instructions",
            "instructions begun before the one at `ip`; NULL where the log has none", "e.icount"),
        .init("ip", .address, "the instruction; NULL if the log does not have it", "e.ip"),
    ]

    /// The function and the file of the instruction; NULL without symbols.
    private static let placeColumns: [ViewDefinition.Column] = [
        .init("function", .text, "the function that `ip` is in; NULL without symbols", "f.name"),
        .init("place", .text, "`function+0x12`, inlined functions first; NULL without symbols", "p.label"),
        .init("file", .text, "the source file of `ip`; NULL without debug information", "s.name"),
        .init("line", .integer, "the source line of `ip`; NULL without debug information", "p.line"),
    ]

    /// A table of events with the names of its kinds and places.
    private static func joined(_ table: String, where condition: String? = nil) -> String {
        "\(table) AS e LEFT JOIN _kind AS k ON k.id = e.kind LEFT JOIN _place AS p ON p.address = e.ip "
            + "LEFT JOIN _function AS f ON f.id = p.function LEFT JOIN _file AS s ON s.id = p.file"
            + (condition.map { " WHERE \($0)" } ?? "")
    }

    /// The columns of a field: most have one. A field of several words has its first word, and all of them as text; a
    /// code address has the name of what is there.
    private static func columns(_ field: EventField) -> [ViewDefinition.Column] {
        let name = field.name
        guard let value = EventDetailsSQL.value(field, "e", knownOnly: true) else {
            return textColumn(field).map { [$0] } ?? []
        }
        let unit = field.unit?.rawValue
        switch field.type {
        case .number: return [.init(name, .integer, unit: unit, field.summary, value)]
        case .flag: return [.init(name, .flag, field.summary, "(\(value) <> 0)")]
        case .address:
            let column = ViewDefinition.Column(name, .address, field.summary, value)
            guard case .joined = field.phrase else { return [column] }
            let function =
                "(SELECT n.name FROM _place AS q JOIN _function AS n ON n.id = q.function WHERE q.address = \(value))"
            return [
                column, .init("\(name)_function", .text, "the function at `\(name)`; NULL without symbols", function),
            ]
        case .word: return [.init(name, .address, field.summary, value)]
        case .words:
            guard case .values(let first) = field.source, let all = EventDetailsSQL.words(from: first, "e") else {
                return []
            }
            return [
                .init(name, .address, "\(field.summary); the first word", value),
                .init(
                    "\(name)_words", .text, "\(field.summary); all words in hexadecimal, if the index has them",
                    all),
            ]
        case .label, .stream, .name:
            return [.init(name, .text, field.summary, EventDetailsSQL.text(field, value, "e"))]
        case .text, .bytes: return []
        }
    }

    private static func textColumn(_ field: EventField) -> ViewDefinition.Column? {
        let nul = "instr(e.payload, x'00')"
        let expression: String
        switch field.source {
        case .text: expression = "CAST(e.payload AS TEXT)"
        case .key: expression = "CAST(iif(\(nul) = 0, e.payload, substr(e.payload, 1, \(nul) - 1)) AS TEXT)"
        case .textAfterKey: expression = "iif(\(nul) = 0, NULL, CAST(substr(e.payload, \(nul) + 1) AS TEXT))"
        case .bytes: expression = "lower(hex(e.payload))"
        default: return nil
        }
        return .init(field.name, .text, field.summary, expression)
    }
}
