// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A class of elements in which a vCPU's runs differ, and where they do first: a row of a table.
public struct DifferenceRow: Sendable, Hashable {
    /// The vCPU.
    public var vcpu: UInt16
    /// How the vCPU's runs relate.
    public var verdict: Verdict
    /// The class that differs; nil if one run ended early.
    public var differenceClass: FirstDifference.Class?
    /// Whether nothing of the vCPU differs before.
    public var isFirst: Bool
    /// The place in the original.
    public var original: RunPosition
    /// The place in the replay; nil if not known.
    public var replay: RunPosition?
    /// The fields that differ: `to 0x1000 != 0x2000`.
    public var details: String
}

extension AlignmentResult {
    /// The differences of all vCPUs: for each vCPU the divergence, then the first differences of other classes by clock.
    public var differenceRows: [DifferenceRow] { vcpus.flatMap(\.differenceRows) }
}

extension VCPUAlignment {
    fileprivate var differenceRows: [DifferenceRow] {
        guard let divergence else { return [] }
        let first = divergence.difference
        let row = DifferenceRow(
            vcpu: vcpu, verdict: verdict, differenceClass: first?.differenceClass, isFirst: true,
            original: divergence.original, replay: divergence.replay,
            details: first?.details ?? divergence.endReason ?? "")
        let others = firsts.filter { $0.differenceClass != first?.differenceClass }.sorted { $0.clock < $1.clock }
        return [row]
            + others.map { other in
                DifferenceRow(
                    vcpu: vcpu, verdict: verdict, differenceClass: other.differenceClass, isFirst: false,
                    original: RunPosition(clock: other.clock), replay: nil, details: other.details)
            }
    }
}

extension FirstDifference {
    fileprivate var details: String {
        fields.map { "\($0.name) \($0.original.shown) != \($0.replay.shown)" }.joined(separator: ", ")
    }
}

extension FieldDifference.Value {
    /// The value as text: addresses and words are hexadecimal, counters decimal, of bytes the first 32; nil if the record
    /// lacks the field.
    package var text: String? {
        switch self {
        case .address(let value), .word(let value): RowText.hex(value)
        case .number(let value): "\(value)"
        case .name(let name): name
        case .bytes(let bytes): FieldDifference.Value.hexadecimal(bytes)
        case .absent: nil
        }
    }

    /// The value as text, `absent` if the record lacks the field.
    package var shown: String { text ?? "absent" }

    /// Up to 32 bytes in hexadecimal digits.
    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = bytes.prefix(32).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        return bytes.count > 32 ? "\(digits)… (\(bytes.count) bytes)" : digits
    }
}
