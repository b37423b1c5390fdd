// SPDX-License-Identifier: GPL-2.0-or-later

/// Writes rows to a sink: JSON lines and CSV from one description of a row's fields, and text.
///
/// A view calls one method for each field, in the order of its ``RowSchema``; the format decides what is written. 64-bit
/// numbers are strings in JSON, because a double loses them above 2^53.
///
///     rows.begin()
///     rows.counter("brctr", 1234)       // "brctr":"1234",   or   1234,
///     rows.address("from", 0x1000)      // "from":"0x1000",  or   0x1000,
///     rows.end()
///
/// In text a view lays the row out itself, with the methods of ``text``, and calls ``endText()``.
public struct RowEncoder: ~Copyable {
    /// How rows are written.
    public let format: RowFormat
    /// Receives the rows, in large pieces.
    public let sink: any TextSink
    /// The pending rows: not written to the sink yet.
    public var text = TextBuffer(capacity: 1 << 17)
    @usableFromInline let syntax: Syntax

    /// How fields are written. Each method switches over it, so that a new syntax does not compile until all have it.
    @usableFromInline
    enum Syntax: UInt8, Sendable {
        case json, csv
    }

    /// The number of pending bytes at which rows are written to the sink.
    @usableFromInline static let batchSize = 96 << 10

    /// Makes an encoder of rows in one format.
    public init(to sink: any TextSink, format: RowFormat) {
        self.sink = sink
        self.format = format
        syntax =
            switch format {
            case .jsonl: .json
            case .csv: .csv
            case .text: .csv  // not used: a view lays out text itself
            }
    }

    /// Writes a line that is not a row, such as a header.
    public mutating func line(_ line: String) {
        text.appendText(line)
        endText()
    }

    /// Writes all pending rows to the sink.
    public mutating func flush() { text.write(to: sink) }

    /// Ends a row of text.
    @inlinable @inline(__always)
    public mutating func endText() {
        text.append(0x0a)
        if text.size >= RowEncoder.batchSize { flush() }
    }

    // MARK: - Rows

    /// Begins a row of JSON or CSV.
    @inlinable @inline(__always)
    public mutating func begin() {
        switch syntax {
        case .json: text.append(0x7b)
        case .csv: break
        }
    }

    /// Ends a row of JSON or CSV: removes the comma after the last field, and adds the line's end.
    @inlinable @inline(__always)
    public mutating func end() {
        text.removeLast(1)
        switch syntax {
        case .json: text.append(0x7d)
        case .csv: break
        }
        endText()
    }

    /// Begins an object inside a row of JSON; not for CSV. The object must get at least one field.
    public mutating func beginObject(_ key: StaticString) {
        self.key(key)
        text.append(0x7b)
    }

    /// Ends an object inside a row of JSON: removes the comma after the last field.
    public mutating func endObject() {
        text.removeLast(1)
        text.append("},")
    }

    // MARK: - Fields

    /// A number below 2^53, in JSON a number.
    @inlinable @inline(__always)
    public mutating func number(_ key: StaticString, _ value: UInt64) {
        begin(key, "\":")
        text.putDecimal(value)
        text.put(",")
    }

    /// A number below 2^53, in JSON a number; `nil`: `null`, or an empty field.
    public mutating func number(_ key: StaticString, _ value: UInt64?) {
        if let value { number(key, value) } else { null(key) }
    }

    /// A decimal number, in JSON a string.
    @inlinable @inline(__always)
    public mutating func counter(_ key: StaticString, _ value: UInt64) {
        open(key)
        text.putDecimal(value)
        close()
    }

    /// A decimal number, in JSON a string; `nil`: `null`, or an empty field.
    @inlinable @inline(__always)
    public mutating func counter(_ key: StaticString, _ value: UInt64?) {
        if let value { counter(key, value) } else { null(key) }
    }

    /// A hexadecimal number, in JSON a string.
    @inlinable @inline(__always)
    public mutating func address(_ key: StaticString, _ value: UInt64) {
        open(key)
        text.putAddress(value)
        close()
    }

    /// A hexadecimal number, in JSON a string; `nil`: `null`, or an empty field.
    public mutating func address(_ key: StaticString, _ value: UInt64?) {
        if let value { address(key, value) } else { null(key) }
    }

    /// Hexadecimal numbers: an array, or one field with spaces between them.
    public mutating func addresses(_ key: StaticString, _ values: [UInt64]) {
        self.key(key)
        switch syntax {
        case .json:
            text.append(0x5b)
            for (index, value) in values.enumerated() {
                text.append(index > 0 ? ",\"" : "\"")
                text.appendAddress(value)
                text.append(0x22)
            }
            text.append(0x5d)
        case .csv:
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(0x20) }
                text.appendAddress(value)
            }
        }
        text.append(0x2c)
    }

    /// Bytes as hexadecimal digits.
    public mutating func bytes(_ key: StaticString, _ bytes: [UInt8]) {
        open(key)
        for byte in bytes { text.appendHexadecimal(UInt64(byte), digits: 2) }
        text.reserve(TextBuffer.numberRoom)
        close()
    }

    /// `true` or `false`.
    public mutating func flag(_ key: StaticString, _ value: Bool) {
        self.key(key)
        text.append(value ? "true," : "false,")
    }

    /// A text, escaped for the format; `nil`: `null`, or an empty field.
    public mutating func string(_ key: StaticString, _ value: String?) {
        guard let value else { return null(key) }
        self.key(key)
        switch syntax {
        case .json: text.appendJSON(value)
        case .csv: text.appendCSV(value)
        }
        text.append(0x2c)
    }

    /// Texts: an array, or one field with `separator` between them.
    public mutating func strings(_ key: StaticString, _ values: [String], separator: String) {
        switch syntax {
        case .csv: string(key, values.joined(separator: separator))
        case .json:
            self.key(key)
            text.append(0x5b)
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(0x2c) }
                text.appendJSON(value)
            }
            text.append("],")
        }
    }

    /// Begins a field. The caller appends the value to ``text``, in the row's format, and then a comma.
    @inlinable @inline(__always)
    public mutating func key(_ key: StaticString) { begin(key, "\":") }

    /// Begins a field that is a string in JSON.
    @inlinable @inline(__always)
    mutating func open(_ key: StaticString) { begin(key, "\":\"") }

    /// Makes room for a field with a number, and begins it.
    @inlinable @inline(__always)
    mutating func begin(_ key: StaticString, _ afterKey: StaticString) {
        let punctuation = 8
        text.reserve(key.utf8CodeUnitCount &+ TextBuffer.numberRoom &+ punctuation)
        switch syntax {
        case .csv: break
        case .json:
            text.put("\"")
            text.put(key)
            text.put(afterKey)
        }
    }

    /// Ends a field that is a string in JSON; there must be room.
    @inlinable @inline(__always)
    mutating func close() {
        switch syntax {
        case .json: text.put("\",")
        case .csv: text.put(",")
        }
    }

    /// A field without a value.
    @inlinable
    public mutating func null(_ key: StaticString) {
        self.key(key)
        switch syntax {
        case .json: text.append("null,")
        case .csv: text.append(0x2c)
        }
    }
}
