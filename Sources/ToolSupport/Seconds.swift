// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser

/// Durations on the command line.
public enum Seconds {
    /// Throws a usage error unless a number of seconds is finite and above 0 (and at most 10^9).
    public static func check(_ value: Double, _ option: String) throws {
        guard value.isFinite, value > 0, value <= 1e9 else {
            throw ValidationError("\(option) takes a number of seconds above 0, not \(value)")
        }
    }
}
