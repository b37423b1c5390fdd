// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// The columns of streams of events: those of every record, and those of one kind from the table of event kinds.
extension EventRow {
    typealias Column = TableColumn<EventRow>

    /// The columns for records of these kinds; empty: of all kinds. One kind alone has a column for each of its fields,
    /// which replaces a general column of the same name.
    static func columns(kinds: [EventKind]) -> [Column] {
        guard kinds.count == 1, let kind = kinds.first else { return general }
        let fields = (kind.definition?.fields ?? EventDefinition.fieldsOfUnknownKind).map(column)
        let names = Set(fields.map(\.definition.name))
        return general.filter { !names.contains($0.definition.name) } + fields
    }

    private static var general: [Column] { positions + contents }

    private static var positions: [Column] {
        [
            Column(.init("brctr", unit: "transitions", "transitions that the vCPU had made before")) {
                $1.append($0.batch.pointee.clock($0.index))
            },
            Column(.init("icount", unit: "instructions", "instructions begun before the one at `ip`")) {
                $1.append($0.optional(.icount, $0.batch.pointee.icount($0.index)))
            },
            Column(.init("vcpu", .int32, "the vCPU; null in records about the run")) {
                if $0.chunk.vcpu == noVCPU { $1.appendNull() } else { $1.append(Int64($0.chunk.vcpu)) }
            },
            Column(.init("epoch", .int32, "number of the stretch without a gap, from 0")) {
                $1.append(Int64($0.chunk.epoch))
            },
            Column(.init("kind", .text, "the kind, as `tt-analyze events` prints it")) { $1.append($0.kind.name) },
            Column(.init("ip", isCode: true, "address of the instruction")) {
                $1.append($0.optional(.ip, $0.batch.pointee.ip($0.index)))
            },
        ]
    }

    private static var contents: [Column] {
        [
            Column(.init("info", "the record's info word; its meaning depends on the kind")) {
                $1.append(Int64($0.batch.pointee.info($0.index)))
            },
            Column(.init("address", "the address word")) { $1.append($0.word(.address)) },
            Column(.init("value", "the first value word")) { $1.append($0.word(.value)) },
            Column(.init("details", .text, "the fields in words")) { $1.append($0.event.details { _ in "" }) },
            Column(.init("rcx", "rcx before the instruction")) {
                $1.append($0.optional(.rcx, $0.batch.pointee.aux($0.index)))
            },
            Column(.init("registers", "digest of the registers")) {
                $1.append($0.optional(.registers, $0.batch.pointee.aux($0.index)))
            },
            Column(.init("payload", .binary, "the payload that replays are compared by")) {
                $1.append(bytes: $0.batch.pointee.payload($0.index))
            },
            Column(.init("ticket", "place in the order of all vCPUs' records")) {
                $1.append($0.batch.pointee.ticket($0.index))
            },
            Column(.init("tsc", "time stamp counter of the host")) {
                $1.append($0.optional(.tsc, $0.batch.pointee.tsc($0.index)))
            },
            Column(.init("ordinal", unit: "records", "number in its stream and vCPU, from 0")) {
                $1.append($0.chunk.firstOrdinal &+ UInt64($0.index))
            },
        ]
    }

    // MARK: Fields of a kind

    private static func column(_ field: EventField) -> Column {
        // Other addresses are of data.
        let isCode = field.type == .address && field.name == "handler"
        let definition = ColumnDefinition(
            field.name, type(of: field), unit: field.unit?.rawValue, isCode: isCode, field.summary)
        return Column(definition) { row, builder in
            switch field.value(in: row.event) {
            case nil: builder.appendNull()
            case .number(let word), .address(let word), .word(let word): builder.append(word)
            case .flag(let isSet): builder.append(isSet)
            case .bytes(let bytes): builder.append(bytes: bytes)
            case .words, .name, .text: builder.append(field.value(in: row.event)?.text)
            }
        }
    }

    private static func type(of field: EventField) -> ColumnType {
        switch field.type {
        case .number, .address, .word: .int64
        case .flag: .flag
        case .words, .label, .stream, .name, .text: .text
        case .bytes: .binary
        }
    }
}
