// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Symbolize

/// Writes events, one a row.
///
///     text   1234: icount 5678  port-write  0x200280 <port_write @ power_off>  port 0xf4, 4 bytes
///     jsonl  {"vcpu":0,"stream":"access","ordinal":"7","brctr":"1234","icount":"5678","kind":"port-write","info":4,
///             "ip":"0x200280","place":{…},"rcx":null,"registers":null,"address":"0xf4","values":[],"tsc":null,
///             "ticket":"9","payload":"f400000000000000","details":"port 0xf4, 4 bytes"}
///     csv    vcpu,stream,ordinal,brctr,icount,kind,info,ip,symbol,source,address,values,details
public struct EventRows {
    /// The version of the row formats; goes up when a field changes its meaning or goes away.
    public static let schemaVersion = 1

    private let sink: any TextSink
    private let format: RowFormat
    private let symbolizer: Symbolizer?
    private let showsVCPU: Bool
    private let width: Int
    private var names: [UInt64: Symbolized?] = [:]
    private var row = JSONRow()

    /// Beyond so many places the names are looked up anew: memory stays bounded whatever the log holds.
    private static let nameLimit = 1 << 18

    /// - Parameters:
    ///   - log: The log whose events follow.
    ///   - sink: Receives the rows.
    ///   - symbolizer: Names instructions and targets; `nil`: addresses only.
    public init(_ log: LogFile, to sink: any TextSink, format: RowFormat, symbolizer: Symbolizer?) {
        self.sink = sink
        self.format = format
        self.symbolizer = symbolizer
        showsVCPU = log.vcpus.count > 1
        width = log.counterWidth
    }

    /// Writes the header.
    public func begin(log: LogFile) {
        switch format {
        case .text:
            break
        case .jsonl:
            sink.line(
                "{\"schema\":\"tt-analyze events\",\"version\":\(EventRows.schemaVersion),"
                    + "\"log\":\(RowText.json(log.path))}")
        case .csv:
            sink.line(
                "vcpu,stream,ordinal,brctr,icount,kind,info,ip,symbol,source,address,values,details")
        }
    }

    /// Writes one event.
    public mutating func write(_ event: Event) {
        switch format {
        case .text: writeText(event)
        case .jsonl: writeJSON(event)
        case .csv: writeCSV(event)
        }
    }

    // MARK: - Fields

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

    private func icount(_ event: Event) -> UInt64? { event.validity.contains(.icount) ? event.icount : nil }
    private func ip(_ event: Event) -> UInt64? { event.validity.contains(.ip) ? event.ip : nil }

    private mutating func details(_ event: Event) -> String {
        // A target is the only code address in an event's words.
        let target = event.values.first
        let targetName = target.map { name($0) } ?? ""
        return event.details { $0 == target ? targetName : "" }
    }

    // MARK: - Rows

    private mutating func writeText(_ event: Event) {
        var row = showsVCPU && event.vcpu != noVCPU ? "vcpu \(event.vcpu) " : ""
        row += EventRows.leftPadded(String(event.clock), width) + ": "
        if let icount = icount(event) { row += "icount \(icount)  " }
        row += event.kind.name
        if let ip = ip(event) { row += "  \(RowText.hex(ip))\(name(ip))" }
        if event.validity.contains(.rcx) { row += "  rcx \(RowText.hex(event.aux))" }
        if event.validity.contains(.registers) { row += "  registers \(RowText.hex(event.aux))" }
        let details = details(event)
        if !details.isEmpty { row += "  \(details.onOneLine)" }
        sink.line(row)
    }

    private mutating func writeJSON(_ event: Event) {
        let address = ip(event)
        row.begin()
        row.number("vcpu", event.vcpu == noVCPU ? nil : UInt64(event.vcpu))
        row.name("stream", event.stream.name)
        row.counter("ordinal", event.ordinal)
        row.counter("brctr", event.clock)
        row.counter("icount", icount(event))
        row.name("kind", event.kind.name)
        row.number("info", UInt64(event.info))
        row.address("ip", address)
        if symbolizer != nil { row.raw("place", PlaceStyle.json.render(place(address))) }
        row.address("rcx", event.validity.contains(.rcx) ? event.aux : nil)
        row.address("registers", event.validity.contains(.registers) ? event.aux : nil)
        row.address("address", event.address)
        row.addresses("values", event.values)
        row.counter("tsc", event.validity.contains(.tsc) ? event.tsc : nil)
        row.counter("ticket", event.ticket)
        row.payload("payload", event.payload)
        row.raw("details", RowText.json(details(event)))
        row.end(to: sink)
    }

    private mutating func writeCSV(_ event: Event) {
        let place = place(ip(event))
        let position: [String] = [
            event.vcpu == noVCPU ? "" : String(event.vcpu), event.stream.name, String(event.ordinal),
            String(event.clock), icount(event).map { String($0) } ?? "",
        ]
        let origin: [String] = [
            event.kind.name, String(event.info), ip(event).map(RowText.hex) ?? "", place?.label ?? "",
            place?.sourcePlace ?? "",
        ]
        let content: [String] = [
            event.address.map(RowText.hex) ?? "", event.values.map(RowText.hex).joined(separator: " "),
            details(event),
        ]
        let fields = position + origin + content
        sink.line(fields.map(RowText.csv).joined(separator: ","))
    }

    private static func leftPadded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.utf8.count)) + text
    }
}
