// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser

/// A place in a run: `SYMBOL[+OFFSET][:BRCTR]`, an address `0x…[:BRCTR]`, or a branch counter alone.
///
/// With a counter, the first time at or after it. What follows the last colon is a counter when it is a number.
public struct PlaceArgument: ExpressibleByArgument, Hashable, Sendable {
    public enum Target: Hashable, Sendable {
        /// A branch counter alone.
        case counter
        case address(UInt64)
        /// `SYMBOL[+OFFSET]`.
        case symbol(String)
    }

    public var target: Target
    /// The branch counter; 0 when none was given.
    public var brctr: UInt64
    /// The place as it was given.
    public var text: String

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
            // A number that is none, as 12x.
            guard first.properties.numericType == nil else { return nil }
            target = .symbol(String(name))
        }
    }
}
