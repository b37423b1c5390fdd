// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogViews

/// A 64-bit number on the command line: decimal, or hexadecimal with `0x`. Digits may be grouped: by `_` anywhere, in
/// decimal by `,` in threes.
public struct NumberArgument: ExpressibleByArgument, Hashable, Sendable {
    /// The number.
    public var value: UInt64

    /// Makes a number.
    public init(_ value: UInt64) { self.value = value }

    /// Reads a number; `nil` if the text is none.
    public init?(argument: String) {
        var digits = argument.filter { $0 != "_" }
        let isHexadecimal = digits.hasPrefix("0x") || digits.hasPrefix("0X")
        if !isHexadecimal, digits.contains(",") {
            let groups = digits.split(separator: ",", omittingEmptySubsequences: false)
            guard (1...3).contains(groups[0].count), groups.dropFirst().allSatisfy({ $0.count == 3 }) else {
                return nil
            }
            digits = groups.joined()
        }
        guard let first = digits.unicodeScalars.first, first.properties.numericType != nil,
            let value = isHexadecimal ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
        else { return nil }
        self.value = value
    }

    /// The number in decimal.
    public var defaultValueDescription: String { "\(value)" }
}

/// `FROM:TO`, the positions from FROM up to but not including TO; either may be left out.
///
/// A bound is a branch counter, a share of the log (`90%`, `99.5%`), or a distance from its end (`-20`).
public struct RangeArgument: ExpressibleByArgument, Hashable, Sendable {
    /// The part of the log.
    public var bounds: ClockBounds

    /// Reads a range; `nil` if the text is none, or if it ends before it begins.
    public init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { return nil }
        var bounds = ClockBounds()
        if !parts[0].isEmpty {
            guard let bound = ClockBound(argument: parts[0]) else { return nil }
            bounds.from = bound
        }
        if !parts[1].isEmpty {
            guard let bound = ClockBound(argument: parts[1]) else { return nil }
            bounds.to = bound
        }
        switch (bounds.from, bounds.to) {
        case (.at(let from), .at(let to)) where from > to: return nil
        case (.thousandths(let from), .thousandths(let to)) where from > to: return nil
        case (.beforeEnd(let from), .beforeEnd(let to)) where from < to: return nil
        default: self.bounds = bounds
        }
    }
}

extension ClockBound {
    /// Reads `1234`, `0x4d2`, `1,234`, `90%`, `99.5%` or `-20`.
    init?(argument: String) {
        if argument.hasSuffix("%") {
            let parts = argument.dropLast().split(separator: ".", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(isDigit) }),
                parts.count == 1 || parts[1].count == 1, let whole = UInt64(parts[0]), whole <= 100
            else { return nil }
            let thousandths = whole * 10 + (parts.count == 2 ? UInt64(parts[1]) ?? 0 : 0)
            guard thousandths <= 1000 else { return nil }
            self = .thousandths(thousandths)
        } else if argument.hasPrefix("-") {
            guard let number = NumberArgument(argument: String(argument.dropFirst())) else { return nil }
            self = .beforeEnd(number.value)
        } else {
            guard let number = NumberArgument(argument: argument) else { return nil }
            self = .at(number.value)
        }
    }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

/// `VALUE:RADIUS`, the positions at most RADIUS away from VALUE; without a radius, 20.
public struct WindowArgument: ExpressibleByArgument, Hashable, Sendable {
    /// The position in the middle.
    public var value: UInt64
    /// The largest distance from it.
    public var radius: UInt64

    /// Reads a window; `nil` if the text is none.
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
    /// The position after the window.
    public var to: UInt64 {
        let (end, overflows) = value.addingReportingOverflow(radius)
        return overflows || end == .max ? .max : end + 1
    }
}
