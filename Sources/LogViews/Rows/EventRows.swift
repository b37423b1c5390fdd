// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Symbolize

/// Writes events, one a row.
///
///     text   1234: icount 5678  port-write  0x200280 <port_write @ power_off>  port 0xf4, 4 bytes
///     jsonl  {"vcpu":0,"stream":"access","ordinal":"7","brctr":"1234","icount":"5678","kind":"port-write","info":4,
///             "ip":"0x200280","place":{…},"rcx":null,"registers":null,"address":"0xf4","values":[],"tsc":null,
///             "ticket":"9","payload":"f400000000000000","fields":{"size":"4","port":"0xf4"},
///             "details":"port 0xf4, 4 bytes","joined":false}
///     csv    vcpu,stream,ordinal,brctr,icount,kind,info,ip,symbol,source,address,values,details,joined
///
/// A joined event is not in the log: a join with another file found it. Its row in text ends with `[joined]`, and it has no
/// ordinal. On request, repetitions of rows are folded in text (``RowFolder``).
public struct EventRows: ~Copyable {
    /// The name, version and columns of the rows.
    public static let schema = RowSchema(
        "tt-analyze events", version: 1,
        columns: [
            "vcpu", "stream", "ordinal", "brctr", "icount", "kind", "info", "ip", "symbol", "source", "address",
            "values", "details", "joined",
        ])

    private var rows: RowEncoder
    private let symbolizer: Symbolizer?
    private let showsVCPU: Bool
    private let width: Int
    private var names: [UInt64: Symbolized?] = [:]
    private var folder: RowFolder<Event>?

    /// The number of names after which the cache is emptied: memory stays bounded for any log.
    private static let nameLimit = 1 << 18

    /// - Parameters:
    ///   - log: The log whose events follow.
    ///   - sink: Receives the rows.
    ///   - symbolizer: Names instructions and targets; `nil`: none are named.
    ///   - folds: Fold repetitions of rows. Only for text.
    public init(
        _ log: LogFile, to sink: any TextSink, format: RowFormat, symbolizer: Symbolizer?, folds: Bool = false
    ) {
        rows = RowEncoder(to: sink, format: format)
        self.symbolizer = symbolizer
        showsVCPU = log.vcpus.count > 1
        width = log.counterWidth
        folder = folds && format == .text ? RowFolder() : nil
    }

    /// Writes the header.
    public mutating func begin(log: LogFile) {
        switch rows.format {
        case .text: break
        case .jsonl: rows.line(EventRows.schema.header(log: log.path))
        case .csv: rows.line(EventRows.schema.columnLine())
        }
    }

    /// Writes one event.
    public mutating func write(_ event: Event) {
        switch rows.format {
        case .text:
            guard folder == nil else {
                folder?.add(event)
                return writeFolded()
            }
            writeText(event)
            rows.endText()
        case .jsonl: writeObject(event)
        case .csv: writeColumns(event)
        }
    }

    /// Whether the reader of the rows went away.
    public var isClosed: Bool { rows.sink.isClosed }

    /// Writes the rest to the sink.
    public mutating func finish() {
        folder?.finish()
        writeFolded()
        rows.flush()
    }

    private mutating func writeFolded() {
        for line in folder?.take() ?? [] {
            writeText(line.row)
            rows.endText(line.repetition, usualStep: nil)
        }
    }

    // MARK: - Rows

    /// Writes a row of text without its end.
    private mutating func writeText(_ event: Event) {
        if showsVCPU, event.vcpu != noVCPU { rows.text.appendText("vcpu \(event.vcpu) ") }
        rows.text.appendDecimal(event.clock, width: width)
        rows.text.append(": ")
        if event.validity.contains(.icount) {
            rows.text.append("icount ")
            rows.text.appendDecimal(event.icount)
            rows.text.append("  ")
        }
        rows.text.appendText(event.kind.name)
        if event.validity.contains(.ip) {
            rows.text.append("  ")
            rows.text.appendAddress(event.ip)
            rows.text.appendText(name(event.ip))
        }
        if event.validity.contains(.rcx) {
            rows.text.append("  rcx ")
            rows.text.appendAddress(event.aux)
        }
        if event.validity.contains(.registers) {
            rows.text.append("  registers ")
            rows.text.appendAddress(event.aux)
        }
        let details = details(event)
        if !details.isEmpty {
            rows.text.append("  ")
            rows.text.appendText(details.onOneLine)
        }
        if event.isJoined { rows.text.append("  [joined]") }
    }

    /// Writes a row of jsonl.
    private mutating func writeObject(_ event: Event) {
        rows.begin()
        writePosition(event)
        if symbolizer != nil { writePlace(event, .json) }
        rows.address("rcx", event.validity.contains(.rcx) ? event.aux : nil)
        rows.address("registers", event.validity.contains(.registers) ? event.aux : nil)
        rows.address("address", event.address)
        rows.addresses("values", event.values)
        rows.counter("tsc", event.validity.contains(.tsc) ? event.tsc : nil)
        rows.counter("ticket", event.isJoined ? nil : event.ticket)
        rows.bytes("payload", event.payload)
        rows.kindFields(of: event)
        rows.string("details", details(event))
        rows.flag("joined", event.isJoined)
        rows.end()
    }

    /// Writes a row of csv.
    private mutating func writeColumns(_ event: Event) {
        rows.begin()
        writePosition(event)
        writePlace(event, .csv)
        rows.address("address", event.address)
        rows.addresses("values", event.values)
        rows.string("details", details(event))
        rows.flag("joined", event.isJoined)
        rows.end()
    }

    private mutating func writePosition(_ event: Event) {
        rows.number("vcpu", event.vcpu == noVCPU ? nil : UInt64(event.vcpu))
        rows.string("stream", event.stream.name)
        rows.counter("ordinal", event.isJoined ? nil : event.ordinal)
        rows.counter("brctr", event.clock)
        rows.counter("icount", event.validity.contains(.icount) ? event.icount : nil)
        rows.string("kind", event.kind.name)
        rows.number("info", UInt64(event.info))
        rows.address("ip", event.validity.contains(.ip) ? event.ip : nil)
    }

    private mutating func writePlace(_ event: Event, _ style: PlaceStyle) {
        rows.key("place")
        rows.text.appendText(style.render(place(event.validity.contains(.ip) ? event.ip : nil)))
        rows.text.append(0x2c)
    }

    // MARK: - Names

    private mutating func place(_ address: UInt64?) -> Symbolized? {
        guard let address, let symbolizer else { return nil }
        if let known = names[address] { return known }
        if names.count >= EventRows.nameLimit { names = [:] }
        let found = symbolizer.symbolize(address)
        names[address] = .some(found)
        return found
    }

    /// ` <name>`, or nothing.
    private mutating func name(_ address: UInt64) -> String {
        PlaceStyle.text(lines: false).render(place(address))
    }

    private mutating func details(_ event: Event) -> String {
        // A target is the only code address among an event's words.
        let target = event.values.first
        let targetName = target.map { name($0) } ?? ""
        return event.details { $0 == target ? targetName : "" }
    }
}

extension Event: FoldableRow {
    /// Whether the rows of both events in text are the same, apart from the counters.
    func reads(like other: Event) -> Bool {
        kind == other.kind && ip == other.ip && vcpu == other.vcpu && validity == other.validity && info == other.info
            && aux == other.aux && isJoined == other.isJoined && payload == other.payload
    }
}
