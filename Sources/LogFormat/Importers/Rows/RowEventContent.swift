// SPDX-License-Identifier: GPL-2.0-or-later

extension Event {
    /// Reads `info` and the payload of a row.
    ///
    /// The columns `info`, `payload`, `address` and `values` hold them as they are in the log. What a row lacks of these
    /// comes from the fields of the event's kind.
    mutating func readContent(of cells: borrowing RowCells, isJSON: Bool) throws(RowProblem) {
        info = kind.unknownInfo
        var fields = EventContent()
        for (index, value) in cells.fields {
            guard let field = kind.field(RowNames.fields[index]) else { continue }
            try fields.set(field, value, isJSON: isJSON)
        }
        if let bits = fields.infoBits { info = bits }
        if !cells[.info].isEmpty {
            guard let value = TextNumber.number(cells[.info].bytes).flatMap(UInt32.init(exactly:)) else {
                throw .number("info", cells[.info])
            }
            info = value
        }
        var words: [UInt64] = []
        if !cells[.address].isEmpty {
            guard let address = TextNumber.number(cells[.address].bytes) else {
                throw .number("address", cells[.address])
            }
            validity.insert(.address)
            words = [address]
        } else if let address = fields.addressBits {
            validity.insert(.address)
            words = [address]
        }
        var values = try EventContent.numbers(cells[.values], "values")
        if values.isEmpty { values = fields.values }
        if !values.isEmpty { validity.insert(.value) }
        if !cells[.payload].isEmpty {
            payload = try EventContent.hexadecimal(cells[.payload])
        } else if let bytes = fields.bytes {
            payload = bytes
        } else {
            payload = Event.payload(words: words + values)
        }
    }
}

/// What the named fields of a row state of an event.
private struct EventContent {
    var infoBits: UInt32?
    var addressBits: UInt64?
    var values: [UInt64] = []
    /// The payload of a kind whose content is text or bytes.
    var bytes: [UInt8]?

    /// The words of an event at most: those that a payload holds.
    private static let wordLimit = 8192

    mutating func set(_ field: EventField, _ cell: RowCell, isJSON: Bool) throws(RowProblem) {
        switch field.source {
        case .info(let shift, let width):
            let bits = try number(field, cell)
            infoBits = UInt32(truncatingIfNeeded: EventContent.merged(UInt64(infoBits ?? 0), bits, shift, width))
        case .address(let shift, let width):
            addressBits = EventContent.merged(addressBits ?? 0, try number(field, cell), shift, width)
        case .value(let index, let shift, let width):
            let bits = try number(field, cell)
            reach(index)
            values[index] = EventContent.merged(values[index], bits, shift, width)
        case .values(let first):
            let words = try EventContent.numbers(cell, field.name)
            reach(first - 1)
            values = Array(values.prefix(first)) + words
        case .flagged(let bit):
            // One word a bit, the lowest bit first: the fields come in this order.
            infoBits = (infoBits ?? 0) | 1 << bit
            values.append(try number(field, cell))
        case .text: bytes = text(cell, isJSON)
        case .key: bytes = text(cell, isJSON) + [0] + (bytes ?? [])
        case .textAfterKey: bytes = (bytes ?? []) + text(cell, isJSON)
        case .bytes: bytes = try EventContent.hexadecimal(cell)
        }
    }

    private mutating func reach(_ index: Int) {
        while values.count <= index { values.append(0) }
    }

    private static func merged(_ word: UInt64, _ bits: UInt64, _ shift: UInt8, _ width: UInt8) -> UInt64 {
        let mask: UInt64 = width >= 64 ? .max : (1 << UInt64(width)) - 1
        return word & ~(mask << UInt64(shift)) | (bits & mask) << UInt64(shift)
    }

    private func text(_ cell: RowCell, _ isJSON: Bool) -> [UInt8] {
        isJSON ? JSONRows.text(cell) : Array(cell.bytes)
    }

    /// A field's value: a number, true or false, or a name.
    private func number(_ field: EventField, _ cell: RowCell) throws(RowProblem) -> UInt64 {
        if let number = TextNumber.number(cell.bytes) { return number }
        let text = String(decoding: cell.bytes.prefix(64), as: UTF8.self)
        switch field.type {
        case .flag where text == "true" || text == "yes": return 1
        case .flag where text == "false" || text == "no": return 0
        case .label: if let label = BranchLabel(name: text) { return UInt64(label.rawValue) }
        case .name(let names): if let index = names.list.firstIndex(of: text) { return UInt64(index) }
        case .stream:
            if let stream = LogStream.allCases.first(where: { $0.name == text }) { return UInt64(stream.rawValue) }
        default: break
        }
        throw .number(field.name, cell)
    }

    /// Numbers with spaces between them, or an array of JSON.
    static func numbers(_ cell: RowCell, _ name: String) throws(RowProblem) -> [UInt64] {
        var result: [UInt64] = []
        let bytes = cell.bytes
        var index = 0
        func isSeparator(_ byte: UInt8) -> Bool { [0x20, 0x2c, 0x22, 0x5b, 0x5d].contains(byte) }
        while index < bytes.count {
            while index < bytes.count, isSeparator(bytes[index]) { index += 1 }
            let first = index
            while index < bytes.count, !isSeparator(bytes[index]) { index += 1 }
            guard index > first else { break }
            guard let value = TextNumber.number(UnsafeRawBufferPointer(rebasing: bytes[first..<index])) else {
                throw .number(name, cell)
            }
            result.append(value)
            if result.count > wordLimit { throw RowProblem("\(name): more than \(wordLimit) words") }
        }
        return result
    }

    /// Bytes as hexadecimal digits.
    static func hexadecimal(_ cell: RowCell) throws(RowProblem) -> [UInt8] {
        var result: [UInt8] = []
        let bytes = cell.bytes
        guard bytes.count % 2 == 0 else { throw RowProblem("payload: two hexadecimal digits a byte expected") }
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let (high, low) = (TextNumber.digit(bytes[index]), TextNumber.digit(bytes[index + 1]))
            guard high < 16, low < 16 else { throw RowProblem("payload: two hexadecimal digits a byte expected") }
            result.append(high << 4 | low)
        }
        return result
    }
}

extension EventKind {
    /// The kind's field of that name; nil if it has none.
    fileprivate func field(_ name: String) -> EventField? {
        (definition?.fields ?? EventDefinition.fieldsOfUnknownKind).first { $0.name == name }
    }

    /// The `info` of an event that states none: the value for "not known", else 0.
    fileprivate var unknownInfo: UInt32 {
        for field in definition?.fields ?? [] {
            if case .info = field.source, let unknown = field.unknown {
                return UInt32(truncatingIfNeeded: unknown.value)
            }
        }
        return 0
    }
}
