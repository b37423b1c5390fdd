// SPDX-License-Identifier: GPL-2.0-or-later

/// How rows of a query are written.
public enum ResultFormat: String, CaseIterable, Sendable {
    /// Columns side by side, for people.
    case table
    /// Comma-separated values with a header line (RFC 4180); NULL is an empty field.
    case csv
    /// One JSON object a line. Integers above 2^53 are strings: a double would lose them.
    case jsonl
    /// A table of Markdown.
    case markdown
    /// Columns with lines between them.
    case box
}
