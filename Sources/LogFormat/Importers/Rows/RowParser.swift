// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Reads the branches and events of a file of rows, one after the other.
///
/// `bts-dump` and `tt-analyze events` print such rows; docs/import.md describes them for other producers.
struct RowParser: ~Copyable {
    /// What a line holds.
    enum Kind {
        case branch, event
        /// A header, an empty line, a row that is no record.
        case nothing
        /// The line is damage, which was reported.
        case damaged
    }

    /// The branch that was read last; its vCPU, and its clock if the row states it.
    private(set) var branch = RawBranch(from: 0, to: 0, label: BranchLabel(.unknown))
    private(set) var hasIcount = false
    /// The event that was read last.
    private(set) var event = Event(stream: .event, kind: .interrupt)
    /// The position of the record that was read last.
    private(set) var vcpu: UInt16 = 0
    private(set) var clock: UInt64?

    var lines: LineReader
    private let isJSON: Bool
    private var csv = CSVRows()
    private var cells = RowCells()

    init(_ file: InputFile, format: InputFormat) {
        lines = LineReader(file)
        isJSON = format == .jsonl
    }

    /// Reads the next line; nil at the end of the file.
    mutating func next() -> Kind? {
        guard let line = lines.next() else { return nil }
        if line.isEmpty { return .nothing }
        do throws(RowProblem) {
            if isJSON {
                if let problem = JSONRows.read(line, into: &cells) { throw RowProblem("\(problem)") }
            } else {
                guard try readCSV(line) else { return .nothing }
            }
            return try record()
        } catch {
            lines.report(error.text)
            return .damaged
        }
    }

    /// The lines that a quoted field may take up.
    private static let fieldLineLimit = 64

    /// Reads a row into cells. Returns false for a header.
    private mutating func readCSV(_ line: UnsafeRawBufferPointer) throws(RowProblem) -> Bool {
        let mark = lines.mark
        var line = line
        for _ in 0..<RowParser.fieldLineLimit {
            switch csv.read(line, into: &cells) {
            case .row: return true
            case .header: return false
            case .damaged(let problem): throw RowProblem(problem)
            case .unfinished: break
            }
            guard let longer = lines.extended() else { break }
            line = longer
        }
        lines.return(to: mark)
        throw RowProblem("a quoted field that does not end")
    }

    /// Makes a record of the cells.
    private mutating func record() throws(RowProblem) -> Kind {
        if !cells[.kind].isEmpty {
            try readEvent()
            return event.kind.lacksText(event) ? .nothing : .event
        }
        if cells[.from].start != nil, cells[.to].start != nil, cells[.count].start == nil {
            try readBranch()
            return .branch
        }
        let schema = cells[.schema].bytes
        if schema.isEmpty { throw RowProblem("neither a branch (from, to) nor an event (kind)") }
        if JSONRows.schemas.contains(where: { $0.utf8.elementsEqual(schema) }) { return .nothing }
        throw RowProblem("rows of \(String(decoding: schema, as: UTF8.self)) cannot be imported")
    }

    private mutating func readPosition() throws(RowProblem) {
        let number = try number(.vcpu) ?? 0
        guard number < UInt64(TTLOG_VCPU_MAX) else { throw RowProblem("vcpu \(number): a log has vCPUs 0 to 255") }
        vcpu = UInt16(number)
        clock = try self.number(.brctr)
    }

    private mutating func readBranch() throws(RowProblem) {
        try readPosition()
        guard let from = try number(.from), let to = try number(.to) else {
            throw RowProblem("a branch needs both addresses")
        }
        let icount = try number(.icount)
        hasIcount = icount != nil
        branch = RawBranch(from: from, to: to, icount: icount ?? 0, label: try label())
    }

    private func label() throws(RowProblem) -> BranchLabel {
        var name = cells[.label].bytes
        if name.isEmpty { return BranchLabel(.unknown) }
        let isMarked = name.last == 0x21
        if isMarked { name = UnsafeRawBufferPointer(rebasing: name.dropLast()) }
        guard let found = RowParser.classes.first(where: { $0.name.elementsEqual(name) })?.value else {
            throw RowProblem(
                "label: unknown class \(String(decoding: name.prefix(40), as: UTF8.self).debugDescription)")
        }
        let cell = cells[.isStatic]
        // A producer without this column states no doubt about direct branches.
        let isDirect = found == .jcc || found == .jmp || found == .call
        let isStatic = cell.isEmpty ? isMarked || isDirect : try flag(cell, "static")
        return BranchLabel(found, hasStaticTarget: isStatic || isMarked)
    }

    private static let classes = BranchClass.allCases.map { (name: Array($0.name.utf8), value: $0) }

    // MARK: - Events

    private mutating func readEvent() throws(RowProblem) {
        let kind = try eventKind()
        event = Event(stream: try stream(of: kind), kind: kind)
        if event.stream == .meta {
            vcpu = noVCPU
            clock = try number(.brctr)
        } else {
            try readPosition()
        }
        event.vcpu = vcpu
        event.clock = clock ?? 0
        if let icount = try number(.icount) {
            event.icount = icount
            event.validity.insert(.icount)
        }
        if let ip = try number(.ip) {
            event.ip = ip
            event.validity.insert(.ip)
        }
        if let rcx = try number(.rcx) {
            event.aux = rcx
            event.validity.insert(.rcx)
        } else if let registers = try number(.registers) {
            event.aux = registers
            event.validity.insert(.registers)
        }
        if let tsc = try number(.tsc) {
            event.tsc = tsc
            event.validity.insert(.tsc)
        }
        try event.readContent(of: cells, isJSON: isJSON)
        guard event.payload.count <= Int(TTLOG_PAYLOAD_MAX) else {
            throw RowProblem("payload of \(event.payload.count) bytes: \(TTLOG_PAYLOAD_MAX) at most")
        }
    }

    private mutating func eventKind() throws(RowProblem) -> EventKind {
        let name = cells[.kind].bytes
        if event.kind.definition?.name.utf8.elementsEqual(name) == true { return event.kind }
        guard let kind = EventKind(name: String(decoding: name.prefix(64), as: UTF8.self)) else {
            throw RowProblem("kind: unknown kind \(String(decoding: name.prefix(40), as: UTF8.self).debugDescription)")
        }
        return kind
    }

    private func stream(of kind: EventKind) throws(RowProblem) -> LogStream {
        let name = cells[.stream].bytes
        if name.isEmpty { return kind.usualStream }
        for stream in [LogStream.event, .access, .meta] where stream.name.utf8.elementsEqual(name) { return stream }
        throw RowProblem("stream: event, access or meta expected")
    }

    // MARK: - Values

    @inline(__always)
    private func number(_ column: RowColumn) throws(RowProblem) -> UInt64? {
        let cell = cells[column]
        if cell.isEmpty { return nil }
        guard let value = TextNumber.number(cell.bytes) else { throw RowProblem.number(column.names[0], cell) }
        return value
    }

    private func flag(_ cell: RowCell, _ name: String) throws(RowProblem) -> Bool {
        switch cell.bytes.first {
        case UInt8(ascii: "t"), UInt8(ascii: "1"): return true
        case UInt8(ascii: "f"), UInt8(ascii: "0"): return false
        default: throw RowProblem("\(name): true or false expected")
        }
    }
}

extension EventKind {
    /// Whether an event of a kind whose content is text came without it: a row of CSV has the text only among `details`.
    fileprivate func lacksText(_ event: Event) -> Bool {
        self == .attribute && !event.payload.contains(0) || self == .annotation && event.payload.isEmpty
    }
}

/// What is wrong with a row.
struct RowProblem: Error {
    var text: String

    init(_ text: String) { self.text = text }

    static func number(_ name: String, _ cell: RowCell) -> RowProblem {
        let found = String(decoding: cell.bytes.prefix(40), as: UTF8.self).debugDescription
        return RowProblem("\(name): a number expected, decimal or hexadecimal with 0x and below 2^64; found \(found)")
    }
}
