// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

extension EventField {
    /// The value of a field in one event.
    public enum Value: Sendable, Hashable {
        /// A number, shown in decimal.
        case number(UInt64)
        /// An address in the guest.
        case address(UInt64)
        /// Bits, shown in hexadecimal.
        case word(UInt64)
        /// Several words, each shown in hexadecimal.
        case words([UInt64])
        /// Whether something is so.
        case flag(Bool)
        /// The name of a number.
        case name(String, number: UInt64)
        /// UTF-8 text.
        case text(String)
        /// Bytes.
        case bytes([UInt8])
    }

    /// The field's value in an event; nil if the record does not have it, or has the value for "not known".
    public func value(in event: Event) -> Value? {
        switch source {
        case .info(let shift, let width): known(bits(UInt64(event.info), shift, width))
        case .address(let shift, let width): event.address.flatMap { known(bits($0, shift, width)) }
        case .value(let index, let shift, let width): event.value(index).flatMap { known(bits($0, shift, width)) }
        case .values(let first):
            event.value(first) == nil ? nil : .words(Array(event.values[first...]))
        case .flagged(let bit):
            event.info >> bit & 1 == 0
                ? nil : event.value((event.info & ((1 << bit) - 1)).nonzeroBitCount).flatMap(known)
        case .text:
            event.payload.isEmpty ? nil : .text(String(decoding: event.payload, as: UTF8.self))
        case .key:
            .text(String(decoding: event.payload.prefix { $0 != 0 }, as: UTF8.self))
        case .textAfterKey:
            event.payload.firstIndex(of: 0).map { .text(String(decoding: event.payload[($0 + 1)...], as: UTF8.self)) }
        case .bytes:
            event.validity.isDisjoint(with: [.address, .value]) && !event.payload.isEmpty
                ? .bytes(event.payload) : nil
        }
    }

    /// Whether the event has the value that means "not known".
    public func isUnknown(in event: Event) -> Bool {
        guard let unknown, case .info(let shift, let width) = source else { return false }
        return bits(UInt64(event.info), shift, width) == unknown.value
    }

    private func bits(_ word: UInt64, _ shift: UInt8, _ width: UInt8) -> UInt64 {
        word >> UInt64(shift) & (width >= 64 ? .max : (1 << UInt64(width)) - 1)
    }

    private func known(_ number: UInt64) -> Value? {
        guard number != unknown?.value else { return nil }
        return switch type {
        case .number, .words, .text, .bytes: .number(number)
        case .address: .address(number)
        case .word: .word(number)
        case .flag: .flag(number != 0)
        case .label: .name(BranchLabel(rawValue: UInt8(truncatingIfNeeded: number)).name, number: number)
        case .stream:
            .name(
                UInt8(exactly: number).flatMap { LogStream(rawValue: $0) }?.name ?? String(number), number: number)
        case .name(let names): .name(names[number], number: number)
        }
    }
}

extension EventField.Value {
    /// The largest number of bytes or words in text. For more of them the text gives the total.
    private static let textLimit = 16

    /// The value in words: `32`, `0x3f8`, `0x1 0x2`, `yes`, `host-quit`.
    public var text: String {
        switch self {
        case .number(let number): String(number)
        case .address(let address), .word(let address): RowText.hex(address)
        case .words(let words):
            words.prefix(EventField.Value.textLimit).map(RowText.hex).joined(separator: " ")
                + (words.count > EventField.Value.textLimit ? " … (\(words.count) words)" : "")
        case .flag(let isSet): isSet ? "yes" : "no"
        case .name(let name, _): name
        case .text(let text): text
        case .bytes(let bytes):
            bytes.prefix(EventField.Value.textLimit).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                .joined(separator: " ") + (bytes.count > EventField.Value.textLimit ? " … (\(bytes.count) bytes)" : "")
        }
    }
}
