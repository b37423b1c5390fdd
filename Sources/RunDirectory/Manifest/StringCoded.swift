// SPDX-License-Identifier: GPL-2.0-or-later

/// A 64-bit number that JSON holds as a string: readers that take numbers for doubles lose it above 2^53.
@propertyWrapper
public struct StringCoded: Codable, Hashable, Sendable {
    /// The number.
    public var wrappedValue: UInt64

    /// Wraps a number.
    public init(wrappedValue: UInt64) { self.wrappedValue = wrappedValue }

    /// Reads a string of decimal digits; throws `DecodingError` for anything else.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = UInt64(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a 64-bit number")
        }
        wrappedValue = value
    }

    /// Writes a string of decimal digits.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode("\(wrappedValue)")
    }
}
