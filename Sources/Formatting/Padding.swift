// SPDX-License-Identifier: GPL-2.0-or-later

extension String {
    /// The text with blanks after it, at least `width` characters long.
    package func padded(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }

    /// The text with blanks before it, at least `width` characters long.
    package func leftPadded(to width: Int) -> String {
        String(repeating: " ", count: Swift.max(0, width - count)) + self
    }
}
