// SPDX-License-Identifier: GPL-2.0-or-later

/// How rows are written.
public enum RowFormat: String, CaseIterable, Sendable {
    /// Aligned for people.
    case text
    /// One JSON object a line.
    case jsonl
    /// Comma-separated values with a header line (RFC 4180).
    case csv
}
