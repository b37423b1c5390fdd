// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A counter in a document. Its JSON form is a decimal string: a double loses integers above 2^53.
public struct Counter: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    /// The number.
    public var rawValue: UInt64

    /// A counter with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A counter with this number.
    public init(_ value: UInt64) { rawValue = value }

    /// Reads a decimal string.
    ///
    /// - Throws: `DecodingError.dataCorrupted` if the string is no decimal number below 2^64.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = UInt64(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no decimal counter")
        }
        rawValue = value
    }

    /// Writes a decimal string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// The decimal digits.
    public var description: String { String(rawValue) }
}

/// A signed distance in a document. Its JSON form is a decimal string.
public struct Distance: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    /// The number.
    public var rawValue: Int64

    /// A distance of this number.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// A distance of this number.
    public init(_ value: Int64) { rawValue = value }

    /// Reads a decimal string.
    ///
    /// - Throws: `DecodingError.dataCorrupted` if the string is no signed 64-bit decimal number.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Int64(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no decimal distance")
        }
        rawValue = value
    }

    /// Writes a decimal string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// The decimal digits, with a minus sign if negative.
    public var description: String { String(rawValue) }
}

/// An address or a word of data in a document. Its JSON form is a hexadecimal string: `0xffffffff81000000`.
public struct HexWord: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    /// The number.
    public var rawValue: UInt64

    /// A word with this value.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A word with this value.
    public init(_ value: UInt64) { rawValue = value }

    /// Reads a hexadecimal string that begins with `0x`.
    ///
    /// - Throws: `DecodingError.dataCorrupted` if the string is anything else.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard text.hasPrefix("0x"), let value = UInt64(text.dropFirst(2), radix: 16) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no hexadecimal word")
        }
        rawValue = value
    }

    /// Writes a hexadecimal string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// The hexadecimal digits after `0x`.
    public var description: String { RowText.hex(rawValue) }
}
