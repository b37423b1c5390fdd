// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TraceIndex

/// The comparison of two runs as rows for queries.
enum SQLDivergence {
    static func rows(_ original: LogFile, _ replay: LogFile) throws -> [DivergenceRow] {
        try align(original, replay).differenceRows.map { row in
            DivergenceRow(
                vcpu: row.vcpu, verdict: row.verdict.name, differenceClass: row.differenceClass?.rawValue,
                isFirst: row.isFirst, original: place(row.original), replay: row.replay.map(place),
                details: row.details)
        }
    }

    private static func place(_ position: RunPosition) -> DivergenceRow.Place {
        .init(brctr: position.clock, icount: position.icount, ip: position.ip)
    }
}
