// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser

/// `--color`.
public enum ColorMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// Color if standard output is a terminal that has it and NO_COLOR is not set.
    case auto
    /// Color.
    case always
    /// No color.
    case never

    /// Whether to color text on standard output.
    public var isOn: Bool {
        switch self {
        case .always: return true
        case .never: return false
        case .auto:
            return Terminal.environment("NO_COLOR").isEmpty && Terminal.hasControls && Output.standard.isTerminal
        }
    }
}
