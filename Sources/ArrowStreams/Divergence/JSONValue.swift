// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A field of a JSON object.
typealias JSONField = (key: String, value: JSONValue)

/// A JSON document. Counters and addresses are strings, because many readers lose integers above 2^53.
enum JSONValue {
    case null
    case flag(Bool)
    /// A number below 2^53.
    case number(Int)
    case text(String)
    case list([JSONValue])
    case object([JSONField])

    /// A decimal string.
    static func counter(_ value: UInt64?) -> JSONValue { value.map { .text(String($0)) } ?? .null }

    /// A decimal string with a sign.
    static func difference(_ value: Int64?) -> JSONValue { value.map { .text(String($0)) } ?? .null }

    /// A hexadecimal string.
    static func address(_ value: UInt64?) -> JSONValue { value.map { .text(RowText.hex($0)) } ?? .null }

    /// A text, or null.
    static func optional(_ value: String?) -> JSONValue { value.map { .text($0) } ?? .null }

    /// A small number, or null.
    static func optionalNumber(_ value: UInt16?) -> JSONValue { value.map { .number(Int($0)) } ?? .null }

    /// An object without the fields that are null.
    static func present(_ fields: [JSONField]) -> JSONValue {
        .object(fields.filter { if case .null = $0.value { false } else { true } })
    }

    /// The document as one line.
    var document: String {
        switch self {
        case .null: "null"
        case .flag(let value): value ? "true" : "false"
        case .number(let value): String(value)
        case .text(let value): RowText.json(value)
        case .list(let values): "[" + values.map(\.document).joined(separator: ",") + "]"
        case .object(let fields):
            "{" + fields.map { RowText.json($0.key) + ":" + $0.value.document }.joined(separator: ",") + "}"
        }
    }
}
