// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat

// The differences of two runs as rows (``Alignment/DifferenceRow``).
extension DifferenceRow {
    static func source(_ result: AlignmentResult) -> BatchSource {
        ListSource(columns, { result.differenceRows })
    }

    private static var columns: [TableColumn<DifferenceRow>] {
        [
            .init(.init("vcpu", .int32, "the vCPU")) { $1.append(Int64($0.vcpu)) },
            .init(.init("verdict", .text, "how the vCPU's runs relate")) { $1.append($0.verdict.name) },
            .init(.init("class", .text, "the class of elements that differs; null if one run ended early")) {
                $1.append($0.differenceClass?.rawValue)
            },
            .init(.init("is_first", .flag, "whether nothing of the vCPU differs before")) { $1.append($0.isFirst) },
            .init(.init("original_brctr", unit: "transitions", "clock of the original")) {
                $1.append($0.original.clock)
            },
            .init(.init("original_icount", unit: "instructions", "instruction count of the original")) {
                $1.append($0.original.icount)
            },
            .init(.init("original_ip", "instruction of the original")) { $1.append($0.original.ip) },
            .init(.init("replay_brctr", unit: "transitions", "clock of the replay")) { $1.append($0.replay?.clock) },
            .init(.init("replay_icount", unit: "instructions", "instruction count of the replay")) {
                $1.append($0.replay?.icount)
            },
            .init(.init("replay_ip", "instruction of the replay")) { $1.append($0.replay?.ip) },
            .init(.init("details", .text, "the fields that differ")) { $1.append($0.details) },
        ]
    }
}
