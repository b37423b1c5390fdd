// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat
import Reporting
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
        difference.fields.map { field in
            "\(field.name) \(field.original.text ?? "absent") != \(field.replay.text ?? "absent")"
        }.joined(separator: ", ")
    }
}
