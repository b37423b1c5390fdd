// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The text of `Event.details` as SQL that any SQLite runs. Both derive from the table of event kinds.
enum EventDetailsSQL {
    /// The details of an event in a table or subquery of that name; never NULL.
    static func expression(_ table: String) -> String {
        let cases = EventDefinition.all.filter { !$0.fields.isEmpty }.map { definition in
            "WHEN \(definition.kind.rawValue) THEN \(words(definition.fields, table))"
        }
        return "coalesce(\(table).details, CASE \(table).kind \(cases.joined(separator: " ")) "
            + "ELSE \(words(EventDefinition.fieldsOfUnknownKind, table)) END)"
    }

    /// The phrases of some fields, joined.
    private static func words(_ fields: [EventField], _ table: String) -> String {
        let pieces = fields.compactMap { field -> String? in
            guard let phrase = phrase(field, table) else { return nil }
            if case .joined(let separator) = field.phrase {
                return "coalesce(\(IndexSchema.literal(separator)) || \(phrase), '')"
            }
            return "coalesce(', ' || \(phrase), '')"
        }
        guard !pieces.isEmpty else { return "''" }
        let all = pieces.joined(separator: " || ")
        return "(SELECT iif(substr(d, 1, 2) = ', ', substr(d, 3), d) FROM (SELECT \(all) AS d))"
    }

    /// A field in words; NULL if the event does not have it. nil for a field that only irregular events have.
    private static func phrase(_ field: EventField, _ table: String) -> String? {
        guard let value = value(field, table, knownOnly: false), let text = text(field, value, table) else {
            return nil
        }
        let shown: String =
            switch field.phrase {
            case .titled(let title): "\(IndexSchema.literal(title + " ")) || \(text)"
            case .measured(let singular):
                "\(text) || iif(\(value) = 1, \(IndexSchema.literal(" " + singular)), "
                    + "\(IndexSchema.literal(" " + singular + "s")))"
            case .flag(let word): "iif(\(value), \(IndexSchema.literal(word)), NULL)"
            case .bare, .joined: text
            }
        guard let unknown = field.unknown else { return "(\(shown))" }
        let other = unknown.text.map(IndexSchema.literal) ?? "NULL"
        return "iif(\(value) = \(Int64(bitPattern: unknown.value)), \(other), \(shown))"
    }

    /// A field's value as an integer, NULL if the event does not have it; nil for fields that are no integer.
    ///
    /// - Parameter knownOnly: the value for "not known" is NULL too.
    static func value(_ field: EventField, _ table: String, knownOnly: Bool) -> String? {
        let number: String
        switch field.source {
        case .info(let shift, let width): number = bits("\(table).info", shift, min(width, 32 - min(shift, 32)), of: 32)
        case .address(let shift, let width): number = bits("\(table).address", shift, width, of: 64)
        case .value(let index, let shift, let width):
            guard index < EventColumns.wordCount else { return nil }
            number = bits("\(table).v\(index)", shift, width, of: 64)
        case .values(let first):
            guard first < EventColumns.wordCount else { return nil }
            number = "\(table).v\(first)"
        case .flagged(let bit): number = flagged(bit, table)
        case .text, .key, .textAfterKey, .bytes: return nil
        }
        guard knownOnly, let unknown = field.unknown else { return number }
        return "nullif(\(number), \(Int64(bitPattern: unknown.value)))"
    }

    private static func bits(_ word: String, _ shift: UInt8, _ width: UInt8, of size: UInt8) -> String {
        guard shift > 0 || width < size else { return word }
        // The shift keeps the sign; the mask removes it.
        let mask = width >= 64 ? -1 : Int64(bitPattern: (1 << UInt64(width)) - 1)
        return shift == 0 ? "(\(word) & \(mask))" : "(\(word) >> \(shift) & \(mask))"
    }

    /// The value word of a bit of `info`: it comes after the words of the lower bits that are set.
    private static func flagged(_ bit: UInt32, _ table: String) -> String {
        let lower = (0..<bit).map { "(\(table).info >> \($0) & 1)" }
        let index = lower.isEmpty ? "0" : lower.joined(separator: " + ")
        let words = (0..<EventColumns.wordCount).prefix(Int(bit) + 1).map { "WHEN \($0) THEN \(table).v\($0)" }
        return "iif(\(table).info >> \(bit) & 1, CASE \(index) \(words.joined(separator: " ")) END, NULL)"
    }

    /// An integer as the tools print it.
    static func text(_ field: EventField, _ value: String, _ table: String) -> String? {
        switch field.type {
        case .number: return "printf('%u', \(value)) || iif(\(value) IS NULL, NULL, '')"
        case .address, .word: return "printf('0x%x', \(value)) || iif(\(value) IS NULL, NULL, '')"
        case .flag: return "iif(\(value), 'yes', 'no')"
        case .label: return "(SELECT name FROM _label WHERE id = (\(value) & 255))"
        case .stream:
            let names = LogStream.allCases.map { "WHEN \($0.rawValue) THEN \(IndexSchema.literal($0.name))" }
            return "CASE \(value) \(names.joined(separator: " ")) ELSE printf('%u', \(value)) END"
        case .name(let names):
            let cases = names.list.enumerated().filter { !$1.isEmpty }.map {
                "WHEN \($0) THEN \(IndexSchema.literal($1))"
            }
            return "CASE \(value) \(cases.joined(separator: " ")) "
                + "ELSE \(IndexSchema.literal(names.prefix + "-")) || (\(value)) END"
        case .words:
            guard case .values(let first) = field.source else { return nil }
            return words(from: first, table)
        case .text, .bytes: return nil
        }
    }

    /// The value words from one on, in hexadecimal; NULL without any.
    static func words(from first: Int, _ table: String) -> String? {
        guard first < EventColumns.wordCount else { return nil }
        let rest = (first + 1..<EventColumns.wordCount).map { index in
            "iif(\(table).v\(index) IS NULL, '', printf(' 0x%x', \(table).v\(index)))"
        }
        let all = (["printf('0x%x', \(table).v\(first))"] + rest).joined(separator: " || ")
        return "iif(\(table).v\(first) IS NULL, NULL, \(all))"
    }
}
