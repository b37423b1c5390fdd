// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// How a ``DocumentNumber`` is written as text.
public protocol DocumentNumberForm: Sendable {
    /// The type of the number.
    associatedtype Value: FixedWidthInteger & Sendable
    /// The form's name in errors: `decimal counter`.
    static var name: String { get }
    /// The text of a number.
    static func text(_ value: Value) -> String
    /// The number of a text; nil if the text is not of this form.
    static func value(_ text: String) -> Value?
}

/// A number in a document. Its JSON form is a string: a double loses integers above 2^53.
public struct DocumentNumber<Form: DocumentNumberForm>: RawRepresentable, Hashable, Sendable, Codable,
    CustomStringConvertible
{
    /// The number.
    public var rawValue: Form.Value

    /// A number with this value.
    public init(rawValue: Form.Value) { self.rawValue = rawValue }

    /// A number with this value.
    public init(_ value: Form.Value) { rawValue = value }

    /// Reads a string.
    ///
    /// - Throws: `DecodingError.dataCorrupted` if the string is not of the form, or its number does not fit 64 bits.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Form.value(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no \(Form.name)")
        }
        rawValue = value
    }

    /// Writes a string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// The number as text.
    public var description: String { Form.text(rawValue) }
}

/// A counter in a document: decimal digits.
public typealias Counter = DocumentNumber<CounterForm>

/// A signed distance in a document: decimal digits, with a minus sign if negative.
public typealias Distance = DocumentNumber<DistanceForm>

/// An address or a word of data in a document: hexadecimal digits after `0x`, `0xffffffff81000000`.
public typealias HexWord = DocumentNumber<HexWordForm>

/// The form of a ``Counter``.
public enum CounterForm: DocumentNumberForm {
    /// For errors.
    public static let name = "decimal counter"
    /// The decimal digits.
    public static func text(_ value: UInt64) -> String { String(value) }
    /// Reads decimal digits.
    public static func value(_ text: String) -> UInt64? { UInt64(text) }
}

/// The form of a ``Distance``.
public enum DistanceForm: DocumentNumberForm {
    /// For errors.
    public static let name = "decimal distance"
    /// The decimal digits, with a minus sign if negative.
    public static func text(_ value: Int64) -> String { String(value) }
    /// Reads decimal digits after an optional sign.
    public static func value(_ text: String) -> Int64? { Int64(text) }
}

/// The form of a ``HexWord``.
public enum HexWordForm: DocumentNumberForm {
    /// For errors.
    public static let name = "hexadecimal word"
    /// The hexadecimal digits after `0x`.
    public static func text(_ value: UInt64) -> String { RowText.hex(value) }
    /// Reads hexadecimal digits after `0x`.
    public static func value(_ text: String) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : nil
    }
}
