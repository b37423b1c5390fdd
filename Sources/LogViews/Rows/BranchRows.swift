// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Symbolize

/// Writes branches, one a row.
///
///     text   1234: 0xffffffff81000010 <foo+0x10> -> 0xffffffff81000400 <bar>  call!  5678
///     jsonl  {"vcpu":0,"brctr":"1234","from":"0x…","to":"0x…","label":"call","static":true,"discontinuity":false,
///             "icount":"5678","fromPlace":{…},"toPlace":{…}}
///     csv    [log,]vcpu,brctr,from,to,label,static,discontinuity,icount[,from_symbol,from_source,to_symbol,to_source]
///
/// With several inputs, a line `==> FILE <==` stands before the rows of each in text, and csv has the field `log`; jsonl has
/// an object with the file before the rows of each input.
///
/// In text the class of the branch carries `!` when its static target explains it, and a row ends with `*` when no
/// branch instruction explains the transition (an interrupt, an exception, a fault).
public struct BranchRows: BranchView, ~Copyable {
    /// The version of the row formats; goes up when a field changes its meaning or goes away.
    public static let schemaVersion = 1

    let sink: any TextSink
    let format: RowFormat
    private let isPerf: Bool
    private let hasShortAddresses: Bool
    var input: RowInput
    var rows: RowBuffer
    var places: PlaceCache?
    /// Reads what files say of rows before they are written, while files are read as they are asked.
    private var reader: AheadReader?
    /// What stands for each label: in text padded, in the other formats the fields themselves.
    private let labels: [[UInt8]]
    private var vcpu: UInt16 = 0
    /// Inputs begun so far.
    private var inputCount = 0

    /// What rows need of the input.
    struct RowInput {
        var hasIcount = false
        var showsVCPU = false
        /// How wide the counter is in text.
        var width = 1
        /// In csv: the field that tells inputs apart, with its comma.
        var logField: [UInt8] = []
    }

    /// - Parameters:
    ///   - sink: Receives the rows.
    ///   - style: How rows look in text.
    ///   - lines: In text, source lines beside the names (not in style perf).
    public init(
        to sink: any TextSink, format: RowFormat, symbolizer: Symbolizer?, style: BranchStyle = .plain, lines: Bool
    ) {
        self.sink = sink
        self.format = format
        rows = RowBuffer(to: sink)
        isPerf = format == .text && style == .perf
        hasShortAddresses = style == .gdb
        input = RowInput()
        places =
            switch format {
            case .text: symbolizer.map { style.places($0, lines: lines) }
            case .jsonl: symbolizer.map { PlaceCache($0, style: .json) }
            case .csv: symbolizer.map { PlaceCache($0, style: .csv) }
            }
        reader = symbolizer.flatMap { $0.isWhole ? nil : AheadReader($0) }
        labels = (0...255).map { BranchRows.label(BranchLabel(rawValue: UInt8($0)), format, style) }
    }

    /// Writes the header of an input.
    public mutating func begin(_ input: ViewInput) {
        rows.flush()
        self.input = RowInput(
            hasIcount: input.hasIcount, showsVCPU: input.vcpus.count > 1, width: input.counterWidth)
        switch format {
        case .text:
            if let heading = input.heading { sink.line(heading) }
        case .jsonl:
            sink.line(input.header(schema: "bts-dump", version: BranchRows.schemaVersion))
        case .csv:
            if input.isOneOfSeveral { self.input.logField = Array((RowText.csv(input.path) + ",").utf8) }
            guard inputCount == 0 else { break }
            sink.line(
                (input.isOneOfSeveral ? "log," : "") + "vcpu,brctr,from,to,label,static,discontinuity,icount"
                    + placeFields)
        }
        inputCount += 1
    }

    /// The names of the fields that places have in csv, with a comma before them.
    var placeFields: String { places == nil ? "" : ",from_symbol,from_source,to_symbol,to_source" }

    public mutating func begin(vcpu: UInt16) { self.vcpu = vcpu }

    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        var rest = range
        while !rest.isEmpty {
            let end = reader?.read(batch, rest) ?? rest.upperBound
            if reader?.isDone == true { reader = nil }
            write(batch, rest.lowerBound..<end)
            rest = end..<rest.upperBound
        }
    }

    private mutating func write(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        let (from, to, icount, label) = (batch.from, batch.to, batch.icount, batch.label)
        let first = batch.clockFirst
        for index in range {
            reserve()
            let row = Row(
                vcpu: vcpu, clock: first &+ UInt64(index), from: from[index], to: to[index], icount: icount[index],
                label: label[index])
            switch format {
            case .text: isPerf ? writePerf(row) : writeText(row)
            case .jsonl: writeJSON(row)
            case .csv: writeCSV(row)
            }
        }
    }

    /// Makes room for a row.
    @inline(__always)
    mutating func reserve() {
        // Fixed parts stay below 400 bytes; a path below 4096, its quotes doubled.
        rows.reserve(400 + 2 * 4096 + 2 * PlaceCache.lengthLimit)
    }

    /// Writes what is left to the sink.
    public mutating func finish() {
        rows.flush()
    }

    struct Row {
        var vcpu: UInt16
        var clock, from, to, icount: UInt64
        var label: UInt8
    }

    @inline(__always)
    private mutating func writeText(_ row: Row) {
        if input.showsVCPU {
            rows.text("vcpu ")
            rows.decimal(UInt64(row.vcpu))
            rows.byte(0x20)
        }
        rows.decimal(row.clock, width: input.width)
        rows.text(": ")
        writeTextPath(row.from, row.to)
        writeLabel(row.label)
        if input.hasIcount { rows.decimal(row.icount) }
        if BranchLabel(rawValue: row.label).isDiscontinuity { rows.text(" *") }
        rows.byte(0x0a)
    }

    /// `0x… <foo> -> 0x… <bar>` and two spaces.
    @inline(__always)
    mutating func writeTextPath(_ from: UInt64, _ to: UInt64) {
        if hasShortAddresses { rows.address(from) } else { rows.fullAddress(from) }
        if places != nil { places?.append(from, to: &rows) }
        rows.text(" -> ")
        if hasShortAddresses { rows.address(to) } else { rows.fullAddress(to) }
        if places != nil { places?.append(to, to: &rows) }
        rows.text("  ")
    }

    @inline(__always)
    private mutating func writeJSON(_ row: Row) {
        rows.text("{\"vcpu\":")
        rows.decimal(UInt64(row.vcpu))
        rows.text(",\"brctr\":\"")
        rows.decimal(row.clock)
        writeJSONPath(row.from, row.to)
        writeLabel(row.label)
        if input.hasIcount {
            rows.text(",\"icount\":\"")
            rows.decimal(row.icount)
            rows.byte(0x22)
        } else {
            rows.text(",\"icount\":null")
        }
        writeJSONPlaces(row.from, row.to)
    }

    /// Ends a string before it; its own last one is open, for the label.
    @inline(__always)
    mutating func writeJSONPath(_ from: UInt64, _ to: UInt64) {
        rows.text("\",\"from\":\"")
        rows.address(from)
        rows.text("\",\"to\":\"")
        rows.address(to)
    }

    /// The places, when there are any, and the end of the row.
    @inline(__always)
    mutating func writeJSONPlaces(_ from: UInt64, _ to: UInt64) {
        if places != nil {
            rows.text(",\"fromPlace\":")
            places?.append(from, to: &rows)
            rows.text(",\"toPlace\":")
            places?.append(to, to: &rows)
        }
        rows.text("}\n")
    }

    @inline(__always)
    private mutating func writeCSV(_ row: Row) {
        if !input.logField.isEmpty { write(input.logField) }
        rows.decimal(UInt64(row.vcpu))
        rows.byte(0x2c)
        rows.decimal(row.clock)
        writeCSVPath(row.from, row.to)
        writeLabel(row.label)
        rows.byte(0x2c)
        if input.hasIcount { rows.decimal(row.icount) }
        writeCSVPlaces(row.from, row.to)
    }

    /// Begins with a comma.
    @inline(__always)
    mutating func writeCSVPath(_ from: UInt64, _ to: UInt64) {
        rows.byte(0x2c)
        rows.address(from)
        rows.byte(0x2c)
        rows.address(to)
    }

    /// The places, when there are any, and the end of the row.
    @inline(__always)
    mutating func writeCSVPlaces(_ from: UInt64, _ to: UInt64) {
        if places != nil {
            rows.byte(0x2c)
            places?.append(from, to: &rows)
            rows.byte(0x2c)
            places?.append(to, to: &rows)
        }
        rows.byte(0x0a)
    }

    @inline(__always)
    mutating func writeLabel(_ label: UInt8) { write(labels[Int(label)]) }

    @inline(__always)
    mutating func write(_ text: [UInt8]) {
        text.withUnsafeBufferPointer { bytes in
            if let base = bytes.baseAddress { rows.bytes(base, bytes.count) }
        }
    }

    private static func label(_ label: BranchLabel, _ format: RowFormat, _ style: BranchStyle) -> [UInt8] {
        let name = label.branchClass.name
        let text: String
        switch format {
        case .text where style == .perf:
            text = BranchRows.perfLabel(label)
        case .text:
            let words = label.name
            text = words + String(repeating: " ", count: max(1, 15 - words.utf8.count))
        case .jsonl:
            text =
                "\",\"label\":\"\(name)\",\"static\":\(label.hasStaticTarget),"
                + "\"discontinuity\":\(label.isDiscontinuity)"
        case .csv:
            text = ",\(name),\(label.hasStaticTarget),\(label.isDiscontinuity)"
        }
        return Array(text.utf8)
    }
}

extension LogFile {
    /// How many digits the largest branch counter of the log has.
    public var counterWidth: Int {
        vcpus.compactMap { chunks(.branch, vcpu: $0).last?.clockLast }.max().map(RowBuffer.decimalDigits) ?? 1
    }
}

/// Asks a symbolizer that reads files as it is asked for the addresses of few rows, then of more and more: the first rows
/// come at once, and many do not ask often.
private struct AheadReader {
    private let symbolizer: Symbolizer
    private var rowCount = 64
    private var addresses: [UInt64] = []

    init(_ symbolizer: Symbolizer) { self.symbolizer = symbolizer }

    /// Whether all files are whole.
    var isDone: Bool { symbolizer.isWhole }

    /// Asks for the first of these rows; returns up to which one.
    mutating func read(_ batch: borrowing BranchBatch, _ range: Range<Int>) -> Int {
        let end = min(range.lowerBound + rowCount, range.upperBound)
        let (from, to) = (batch.from, batch.to)
        addresses.removeAll(keepingCapacity: true)
        for index in range.lowerBound..<end { addresses += [from[index], to[index]] }
        // What cannot be read gives no names.
        _ = try? symbolizer.lookup(for: addresses)
        rowCount = min(rowCount * 4, 1 << 20)
        return end
    }
}
