// SPDX-License-Identifier: GPL-2.0-or-later

/// The columns in which tables and the virtual table of accesses hold an event.
///
/// The words of a payload are integers, `address` and `v0` to `v5`. An event whose payload does not fit them (text,
/// bytes, more words) is *irregular*: the payload is kept as a blob, and `details` as text. For regular events
/// `details` is NULL, and SQL makes it from the words (``EventDetailsSQL``).
enum EventColumns {
    /// Value words that have a column.
    static let wordCount = 6

    static let names =
        ["vcpu", "epoch", "brctr", "icount", "ip", "rcx", "registers", "kind", "info", "address"]
        + (0..<wordCount).map { "v\($0)" } + ["payload", "details", "ticket", "tsc"]

    /// The columns with their types. `tt-analyze sql` prints a column whose type is `ADDRESS INT` in hexadecimal; SQLite
    /// takes it for an integer.
    static let definition = names.map { "\($0) \(type(of: $0))" }.joined(separator: ", ")

    private static func type(of name: String) -> String {
        switch name {
        case "ip", "rcx", "registers", "address": "ADDRESS INT"
        case "payload": "BLOB"
        case "details": "TEXT"
        default: name.hasPrefix("v") && name != "vcpu" ? "ADDRESS INT" : "INT"
        }
    }
}
