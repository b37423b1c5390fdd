// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
@preconcurrency import Glibc

/// A 64-bit number on the command line: decimal, or hexadecimal with `0x`; `_` may group digits.
public struct NumberArgument: ExpressibleByArgument, Hashable, Sendable {
    public var value: UInt64

    public init(_ value: UInt64) { self.value = value }

    public init?(argument: String) {
        let digits = argument.filter { $0 != "_" }
        let isHexadecimal = digits.hasPrefix("0x") || digits.hasPrefix("0X")
        guard let first = digits.unicodeScalars.first, first.properties.numericType != nil,
            let value = isHexadecimal ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
        else { return nil }
        self.value = value
    }

    public var defaultValueDescription: String { "\(value)" }
}

/// `FROM:TO`, the positions from FROM up to but not including TO; either may be left out.
public struct RangeArgument: ExpressibleByArgument, Hashable, Sendable {
    public var from: UInt64
    /// Not part of the range. `UInt64.max` where it was left out.
    public var to: UInt64

    public init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        func bound(_ text: Substring, or absent: UInt64) -> UInt64? {
            text.isEmpty ? absent : NumberArgument(argument: String(text))?.value
        }
        guard let from = bound(parts[0], or: 0), let to = bound(parts[1], or: .max), from <= to else { return nil }
        self.from = from
        self.to = to
    }
}

/// `VALUE:RADIUS`, the positions at most RADIUS away from VALUE; without a radius, 20.
public struct WindowArgument: ExpressibleByArgument, Hashable, Sendable {
    public var value: UInt64
    public var radius: UInt64

    public init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, let value = NumberArgument(argument: String(parts[0]))?.value else { return nil }
        var radius: UInt64 = 20
        if parts.count == 2 {
            guard let given = NumberArgument(argument: String(parts[1]))?.value else { return nil }
            radius = given
        }
        self.value = value
        self.radius = radius
    }

    /// The first position of the window.
    public var from: UInt64 { value > radius ? value - radius : 0 }
    /// The position behind the window.
    public var to: UInt64 {
        let (end, overflows) = value.addingReportingOverflow(radius)
        return overflows || end == .max ? .max : end + 1
    }
}

/// `--color`.
public enum ColorMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    case auto, always, never

    /// `auto` means: when stdout is a terminal and NO_COLOR is not set.
    public var isOn: Bool {
        switch self {
        case .always: return true
        case .never: return false
        case .auto:
            if let noColor = getenv("NO_COLOR"), noColor.pointee != 0 { return false }
            return Output.standard.isTerminal
        }
    }
}
