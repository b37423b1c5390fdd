// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser

/// A place in a run: `SYMBOL[+OFFSET][:BRCTR]`, an address `0x…[:BRCTR]`, or a branch counter alone.
///
/// With a counter, the first time at or after it. The text after the last colon is a counter if it is a number.
public struct PlaceArgument: ExpressibleByArgument, Hashable, Sendable {
    /// The kind of a place.
    public enum Target: Hashable, Sendable {
        /// A branch counter alone.
        case counter
        /// `0x…`.
        case address(UInt64)
        /// `SYMBOL[+OFFSET]`.
        case symbol(String)
    }

    /// The place's address, symbol or counter.
    public var target: Target
    /// The branch counter; 0 if none is given.
    public var brctr: UInt64
    /// The argument.
    public var text: String

    /// Reads an argument; `nil` if the text is none.
    public init?(argument: String) {
        text = argument
        if !argument.lowercased().hasPrefix("0x"), let number = NumberArgument(argument: argument) {
            (target, brctr) = (.counter, number.value)
            return
        }
        var name = Substring(argument)
        brctr = 0
        if let colon = argument.lastIndex(of: ":") {
            let rest = argument[argument.index(after: colon)...]
            if let number = NumberArgument(argument: String(rest)) {
                name = argument[..<colon]
                brctr = number.value
            } else if rest.isEmpty {
                return nil
            }
        }
        guard let first = name.unicodeScalars.first else { return nil }
        if name.lowercased().hasPrefix("0x") {
            guard let address = NumberArgument(argument: String(name)) else { return nil }
            target = .address(address.value)
        } else {
            // A malformed number: 12x.
            guard first.properties.numericType == nil else { return nil }
            target = .symbol(String(name))
        }
    }
}
