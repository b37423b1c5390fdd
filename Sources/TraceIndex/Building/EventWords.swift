// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The words of a payload that have columns.
struct EventWords {
    /// The address word; nil without one.
    var address: UInt64?
    /// Value words with a column.
    var count: Int
    /// Whether the words are the whole payload.
    private var isWhole: Bool
    private let first: Int

    init(_ payload: UnsafeRawBufferPointer, _ validity: EventValidity) {
        first = validity.contains(.address) ? 8 : 0
        let hasAddress = first > 0 && payload.count >= 8
        address = hasAddress ? payload.loadUnaligned(fromByteOffset: 0, as: UInt64.self).littleEndian : nil
        let rest = max(0, payload.count - first)
        count = validity.contains(.value) ? min(rest / 8, EventColumns.wordCount) : 0
        isWhole = payload.count == (hasAddress ? 8 : 0) + 8 * count && (first == 0 || hasAddress)
    }

    /// A value word that has a column.
    func value(_ index: Int, of payload: UnsafeRawBufferPointer) -> UInt64 {
        payload.loadUnaligned(fromByteOffset: first + 8 * index, as: UInt64.self).littleEndian
    }

    /// Whether SQL can make the details from the words.
    func isRegular(_ kind: EventKind, info: UInt32) -> Bool {
        guard isWhole else { return false }
        let number = Int(kind.rawValue)
        guard number < EventWords.traits.count else { return true }
        let traits = EventWords.traits[number]
        return !traits.hasText && info & ~traits.namedBits == 0
    }

    /// The properties of a kind that make its records irregular.
    private struct Traits {
        /// Text or bytes.
        var hasText = false
        /// The bits of `info` that SQL knows: others have words without a name.
        var namedBits = UInt32.max
    }

    private static let traits: [Traits] = {
        let last = EventDefinition.all.map { Int($0.kind.rawValue) }.max() ?? 0
        var list = [Traits](repeating: Traits(), count: last + 1)
        for definition in EventDefinition.all {
            var traits = Traits()
            var bits: UInt32 = 0
            var named: UInt32 = 0
            for field in definition.fields {
                switch field.source {
                case .text, .key, .textAfterKey, .bytes: traits.hasText = true
                case .flagged(let bit): bits |= 1 << bit
                case .info(let shift, let width):
                    named |= UInt32(truncatingIfNeeded: ((1 << UInt64(width)) - 1) << UInt64(shift))
                default: break
                }
            }
            if bits != 0 { traits.namedBits = bits | named }
            list[Int(definition.kind.rawValue)] = traits
        }
        return list
    }()
}
