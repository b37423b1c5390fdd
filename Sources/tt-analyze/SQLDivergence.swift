// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat
import TraceIndex

/// The comparison of two runs as rows for queries.
enum SQLDivergence {
    static func rows(_ original: LogFile, _ replay: LogFile) throws -> [DivergenceRow] {
        let result = try align(original, replay)
        return result.vcpus.flatMap { vcpu -> [DivergenceRow] in
            guard let divergence = vcpu.divergence else { return [] }
            let first = divergence.difference
            let row = DivergenceRow(
                vcpu: vcpu.vcpu, verdict: vcpu.verdict.name, differenceClass: first?.differenceClass.rawValue,
                isFirst: true, original: place(divergence.original), replay: place(divergence.replay),
                details: first.map(details) ?? divergence.endReason ?? "")
            let others = vcpu.firsts.filter { $0.differenceClass != first?.differenceClass }
                .sorted { $0.clock < $1.clock }
            return [row]
                + others.map { other in
                    DivergenceRow(
                        vcpu: vcpu.vcpu, verdict: vcpu.verdict.name, differenceClass: other.differenceClass.rawValue,
                        isFirst: false, original: .init(brctr: other.clock), replay: nil, details: details(other))
                }
        }
    }

    private static func place(_ position: RunPosition) -> DivergenceRow.Place {
        .init(brctr: position.clock, icount: position.icount, ip: position.ip)
    }

    private static func details(_ difference: FirstDifference) -> String {
        difference.fields.map { "\($0.name) \(text($0.original)) != \(text($0.replay))" }.joined(separator: ", ")
    }

    private static func text(_ value: FieldDifference.Value) -> String {
        switch value {
        case .address(let word), .word(let word): RowText.hex(word)
        case .number(let number): String(number)
        case .name(let name): name
        case .bytes(let bytes): bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        case .absent: "absent"
        }
    }
}
