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
/// jsonl has a header object before the rows of each input; it names the schema and the file. With several inputs, text has
/// a line `==> FILE <==` before the rows of each, and csv has the column `log`.
///
/// In text, `!` after the class marks a branch whose target is encoded in the instruction (`static` in jsonl and csv). `*`
/// after the fields marks a transition that no branch instruction made: an interrupt or an exception (`discontinuity` in
/// jsonl and csv). On request, text folds repeated rows (``RowFolder``).
///
/// A text row begins with `vcpu N` if the input has several vCPUs. Without instruction counts in the log, text omits the
/// count and `icount` is null. Without a symbolizer, rows have no places. Style perf has a row format of its own; style gdb
/// shortens addresses.
public struct BranchRows: BranchView, ~Copyable {
    /// The schema's name, version and columns, except the columns of places.
    public static let schema = RowSchema(
        "bts-dump", version: 1,
        columns: ["vcpu", "brctr", "from", "to", "label", "static", "discontinuity", "icount"])
    /// The csv columns for the places (symbol and source line) of from and to.
    static let placeColumns = ["from_symbol", "from_source", "to_symbol", "to_source"]

    let format: RowFormat
    private let isPerf: Bool
    private let hasShortAddresses: Bool
    var input: RowInput
    var rows: RowEncoder
    var places: PlaceCache?
    /// Looks up the names of addresses before their rows are written. nil without a symbolizer, and once all symbol files are
    /// read.
    private var reader: AheadReader?
    private var folder: RowFolder<Row>?
    /// The bytes to write for each raw label value: the name in text (padded, except in style perf), the three label fields
    /// in jsonl and csv.
    private let labels: FixedTexts
    /// In csv of several inputs: the field that names the input, with its comma.
    private var logField: FixedTexts?
    private var vcpu: UInt16 = 0
    /// Inputs begun so far.
    private var inputCount = 0

    /// The properties of the input that rows need.
    struct RowInput {
        var hasIcount = false
        var showsVCPU = false
        /// The number of digits to which text pads the branch counter.
        var width = 1
    }

    /// - Parameters:
    ///   - sink: Receives the rows.
    ///   - symbolizer: Names addresses; `nil`: none are named.
    ///   - style: How rows look in text.
    ///   - lines: In text, source lines beside the names (not in style perf).
    ///   - folds: Fold repetitions of rows. Only for text, in a style that folds (``BranchStyle/canFold``).
    public init(
        to sink: any TextSink, format: RowFormat, symbolizer: Symbolizer?, style: BranchStyle = .plain, lines: Bool,
        folds: Bool = false
    ) {
        self.format = format
        rows = RowEncoder(to: sink, format: format)
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
        folder = folds && format == .text && style.canFold ? RowFolder() : nil
        labels = FixedTexts((0...255).map { BranchRows.label(BranchLabel(rawValue: UInt8($0)), format, style) })
    }

    /// Writes the header of an input.
    public mutating func begin(_ input: ViewInput) {
        self.input = RowInput(
            hasIcount: input.hasIcount, showsVCPU: input.vcpus.count > 1, width: input.counterWidth)
        switch format {
        case .text:
            if let heading = input.heading { rows.line(heading) }
        case .jsonl:
            rows.line(BranchRows.schema.header(log: input.path))
        case .csv:
            if input.isOneOfSeveral { logField = FixedTexts([Array((RowText.csv(input.path) + ",").utf8)]) }
            if inputCount == 0 {
                rows.line(
                    BranchRows.schema.columnLine(
                        before: input.isOneOfSeveral ? ["log"] : [], after: writtenPlaceColumns))
            }
        }
        inputCount += 1
    }

    /// The place columns of this csv output: none without a symbolizer.
    var writtenPlaceColumns: [String] { places == nil ? [] : BranchRows.placeColumns }

    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) { self.vcpu = vcpu }

    /// Takes selected branches.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        var rest = range
        while !rest.isEmpty {
            let end = reader?.read(batch, rest) ?? rest.upperBound
            if reader?.isDone == true { reader = nil }
            if folder == nil { write(batch, rest.lowerBound..<end) } else { fold(batch, rest.lowerBound..<end) }
            rest = end..<rest.upperBound
        }
    }

    private mutating func write(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        let (from, to, icount, label) = (batch.from, batch.to, batch.icount, batch.label)
        let first = batch.clockFirst
        for index in range {
            let row = Row(
                vcpu: vcpu, clock: first &+ UInt64(index), from: from[index], to: to[index], icount: icount[index],
                label: label[index])
            switch format {
            case .text:
                if isPerf {
                    writePerf(row)
                } else {
                    writeText(row)
                    rows.endText()
                }
            case .jsonl, .csv: writeFields(row)
            }
        }
    }

    private mutating func fold(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        for index in range {
            let branch = batch[index]
            folder?.add(
                Row(
                    vcpu: vcpu, clock: branch.clock, from: branch.from, to: branch.to, icount: branch.icount,
                    label: branch.label.rawValue))
            writeFolded()
        }
    }

    private mutating func writeFolded() {
        for line in folder?.take() ?? [] {
            writeText(line.row)
            rows.endText(line.repetition, usualStep: UInt64(line.repetition?.rows ?? 1))
        }
    }

    /// Ends the branches of a vCPU.
    public mutating func end(vcpu: UInt16) {
        folder?.finish()
        writeFolded()
    }

    /// Whether the sink is closed. Further branches then have no effect.
    public var isOver: Bool { rows.sink.isClosed }

    /// Flushes the buffered rows to the sink.
    public mutating func finish() { rows.flush() }

    struct Row: FoldableRow {
        var vcpu: UInt16
        var clock, from, to, icount: UInt64
        var label: UInt8

        @inline(__always)
        func reads(like other: Row) -> Bool { from == other.from && to == other.to && label == other.label }
    }

    /// Writes a row of text without its end.
    @inline(__always)
    private mutating func writeText(_ row: Row) {
        if input.showsVCPU {
            rows.text.append("vcpu ")
            rows.text.appendDecimal(UInt64(row.vcpu))
            rows.text.append(0x20)
        }
        rows.text.appendDecimal(row.clock, width: input.width)
        rows.text.append(": ")
        writeTextPath(row.from, row.to)
        writeLabel(row.label)
        if input.hasIcount { rows.text.appendDecimal(row.icount) }
        if BranchLabel(rawValue: row.label).isDiscontinuity { rows.text.append(" *") }
    }

    /// Writes `0x… <foo> -> 0x… <bar>` and two spaces.
    @inline(__always)
    mutating func writeTextPath(_ from: UInt64, _ to: UInt64) {
        if hasShortAddresses { rows.text.appendAddress(from) } else { rows.text.appendFullAddress(from) }
        if places != nil { places?.append(from, to: &rows.text) }
        rows.text.append(" -> ")
        if hasShortAddresses { rows.text.appendAddress(to) } else { rows.text.appendFullAddress(to) }
        if places != nil { places?.append(to, to: &rows.text) }
        rows.text.append("  ")
    }

    /// Writes a row of jsonl or csv.
    @inline(__always)
    private mutating func writeFields(_ row: Row) {
        rows.begin()
        if logField != nil { logField?.append(0, to: &rows.text) }
        rows.number("vcpu", UInt64(row.vcpu))
        rows.counter("brctr", row.clock)
        rows.address("from", row.from)
        rows.address("to", row.to)
        writeLabel(row.label)
        if input.hasIcount { rows.counter("icount", row.icount) } else { rows.null("icount") }
        writePlaces(row.from, row.to)
        rows.end()
    }

    /// Writes the places, if there are any.
    @inline(__always)
    mutating func writePlaces(_ from: UInt64, _ to: UInt64) {
        guard places != nil else { return }
        rows.key("fromPlace")
        places?.append(from, to: &rows.text)
        rows.text.append(0x2c)
        rows.key("toPlace")
        places?.append(to, to: &rows.text)
        rows.text.append(0x2c)
    }

    @inline(__always)
    mutating func writeLabel(_ label: UInt8) { labels.append(Int(label), to: &rows.text) }

    private static func label(_ label: BranchLabel, _ format: RowFormat, _ style: BranchStyle) -> [UInt8] {
        switch format {
        case .text where style == .perf: return Array(BranchRows.perfLabel(label).utf8)
        case .text: return Array(label.name.utf8) + Array(repeating: 0x20, count: max(1, 15 - label.name.utf8.count))
        case .jsonl, .csv:
            var fields = RowEncoder(to: MemorySink(), format: format)
            fields.label(label)
            return fields.text.withBytes { Array($0) }
        }
    }
}

extension RowEncoder {
    /// Writes the fields label (the branch class alone), static and discontinuity.
    mutating func label(_ label: BranchLabel) {
        string("label", label.branchClass.name)
        flag("static", label.hasStaticTarget)
        flag("discontinuity", label.isDiscontinuity)
    }
}

extension LogFile {
    /// The number of digits of the log's largest branch counter.
    public var counterWidth: Int {
        vcpus.compactMap { chunks(.branch, vcpu: $0).last?.clockLast }.max().map(decimalDigitCount) ?? 1
    }
}
