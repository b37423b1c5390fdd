// SPDX-License-Identifier: GPL-2.0-or-later

/// One field of an event: where it is in the record, what it means, how it is shown and when it is compared.
public struct EventField: Sendable, Hashable {
    /// The field's name in JSON, in SQL and in differences: stable, lower-case words with underscores.
    public let name: String
    /// The field's meaning; a phrase without a full stop.
    public let summary: String
    /// Where the field is in the record.
    public let source: Source
    /// The kind of its value.
    public let type: ValueType
    /// The unit of a number; nil for a number without a unit.
    public let unit: Unit?
    /// When two logs can be compared by the field.
    public let comparison: Comparison
    /// How the field appears in text.
    public let phrase: Phrase
    /// The value that means "not known", and how text shows it; nil: every value is known.
    public let unknown: Unknown?

    /// Where a field is in a record.
    public enum Source: Sendable, Hashable {
        /// `width` bits of `info` from bit `shift` on.
        case info(shift: UInt8, width: UInt8)
        /// `width` bits of the address word from bit `shift` on.
        case address(shift: UInt8, width: UInt8)
        /// `width` bits of a value word from bit `shift` on.
        case value(index: Int, shift: UInt8, width: UInt8)
        /// The value words from that index on.
        case values(from: Int)
        /// The value word of a bit of `info`: there is one word for each bit that is set, lowest first.
        case flagged(bit: UInt32)
        /// The payload as UTF-8 text.
        case text
        /// The payload as UTF-8 text, up to the first NUL.
        case key
        /// The payload as UTF-8 text, after the first NUL.
        case textAfterKey
        /// The whole payload, if no validity bit declares an address or values in it.
        case bytes
    }

    /// The kind of a field's value.
    public enum ValueType: Sendable, Hashable {
        /// A number, shown in decimal.
        case number
        /// An address in the guest, shown in hexadecimal.
        case address
        /// Bits, shown in hexadecimal.
        case word
        /// Several words, each shown in hexadecimal.
        case words
        /// 1 if what the field's name states is true, 0 if not.
        case flag
        /// A ``BranchLabel``.
        case label
        /// A ``LogStream``.
        case stream
        /// A number with a name from a list.
        case name(Names)
        /// UTF-8 text.
        case text
        /// Bytes.
        case bytes
    }

    /// The names of a field's values, by number.
    public struct Names: Sendable, Hashable {
        /// The names, from number 0 on; an empty string for a number without a name.
        public let list: [String]
        /// The prefix for numbers without a name: `reason-9`.
        public let prefix: String

        init(_ prefix: String, _ list: [String]) {
            self.prefix = prefix
            self.list = list
        }

        /// The name of a number.
        public subscript(number: UInt64) -> String {
            guard number < UInt64(list.count), !list[Int(number)].isEmpty else { return "\(prefix)-\(number)" }
            return list[Int(number)]
        }
    }

    /// The unit of a number.
    public enum Unit: String, Sendable, Hashable {
        /// A size or a count of octets.
        case bytes
        /// Records of the log.
        case records
        /// Transitions of the vCPU (brctr).
        case transitions
        /// Instructions of the vCPU (icount).
        case instructions
        /// Nanoseconds of the guest's clock.
        case nanoseconds
    }

    /// When two logs can be compared by a field.
    public enum Comparison: Sendable, Hashable {
        /// If both records have it.
        case always
        /// If both logs have all of these features.
        case features(FileHeader.Features)
        /// An operand. Without ``FileHeader/Features/accessValues`` a recorder sees only operands in the instruction's bytes.
        /// The field is compared if both logs or neither have that feature, and both records have the operand.
        case operand
        /// Never: the field is private, or describes the run and not the guest.
        case never
    }

    /// How a field appears in text.
    public enum Phrase: Sendable, Hashable {
        /// This title and the value: `vector 32`.
        case titled(String)
        /// The value and this unit, given in the singular: `1 byte`, `4 bytes`.
        case measured(String)
        /// The value alone.
        case bare
        /// This text if the flag is set; otherwise nothing.
        case flag(String)
        /// This text and the value, appended to the previous field: `key=value`.
        case joined(String)
    }

    /// A value that means "not known".
    public struct Unknown: Sendable, Hashable {
        /// The value.
        public let value: UInt64
        /// How text shows it; nil: text omits the field.
        public let text: String?
    }
}

// MARK: - Short forms for the table
extension EventField {
    static func info(
        _ name: String, _ type: ValueType, _ phrase: Phrase, _ summary: String, shift: UInt8 = 0, width: UInt8 = 32,
        unit: Unit? = nil, compared: Comparison = .always, unknown: Unknown? = nil
    ) -> EventField {
        EventField(
            name: name, summary: summary, source: .info(shift: shift, width: width), type: type, unit: unit,
            comparison: compared, phrase: phrase, unknown: unknown)
    }

    static func address(
        _ name: String, _ type: ValueType, _ phrase: Phrase, _ summary: String, shift: UInt8 = 0, width: UInt8 = 64,
        compared: Comparison = .always
    ) -> EventField {
        EventField(
            name: name, summary: summary, source: .address(shift: shift, width: width), type: type, unit: nil,
            comparison: compared, phrase: phrase, unknown: nil)
    }

    static func value(
        _ name: String, _ index: Int, _ type: ValueType, _ phrase: Phrase, _ summary: String, shift: UInt8 = 0,
        width: UInt8 = 64, unit: Unit? = nil, compared: Comparison = .always
    ) -> EventField {
        EventField(
            name: name, summary: summary, source: .value(index: index, shift: shift, width: width), type: type,
            unit: unit, comparison: compared, phrase: phrase, unknown: nil)
    }

    static func values(
        _ name: String, _ phrase: Phrase, _ summary: String, from index: Int = 0, compared: Comparison = .always
    ) -> EventField {
        EventField(
            name: name, summary: summary, source: .values(from: index), type: .words, unit: nil, comparison: compared,
            phrase: phrase, unknown: nil)
    }

    static func flagged(_ name: String, bit: UInt32, _ phrase: Phrase, _ summary: String) -> EventField {
        EventField(
            name: name, summary: summary, source: .flagged(bit: bit), type: .word, unit: nil, comparison: .always,
            phrase: phrase, unknown: nil)
    }

    static func text(_ name: String, _ phrase: Phrase, _ summary: String, source: Source = .text) -> EventField {
        EventField(
            name: name, summary: summary, source: source, type: .text, unit: nil, comparison: .never, phrase: phrase,
            unknown: nil)
    }

    static func bytes(_ name: String, _ phrase: Phrase, _ summary: String) -> EventField {
        EventField(
            name: name, summary: summary, source: .bytes, type: .bytes, unit: nil, comparison: .always, phrase: phrase,
            unknown: nil)
    }
}
