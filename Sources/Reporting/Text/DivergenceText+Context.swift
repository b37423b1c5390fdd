// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

// MARK: - The records around a divergence
extension DivergenceText {
    mutating func writeCommon(_ divergence: DivergenceDocument.DivergenceItem) {
        page.heading("last common events")
        if divergence.lastCommonEvents.isEmpty { page.line("  none") }
        for event in divergence.lastCommonEvents { write(event) }
        guard has("branches") else { return }
        page.heading("last common branches")
        writeBranches(divergence.lastCommonBranches)
        if divergence.lastCommonBranches.isEmpty {
            page.line(divergence.isExact == false ? "  not kept in the log" : "  none")
        }
    }

    mutating func writeNext(_ divergence: DivergenceDocument.DivergenceItem) {
        for (side, next) in [("original", divergence.originalNext), ("replay", divergence.replayNext)] {
            page.heading("then the \(side)")
            if next.branches.isEmpty, next.events.isEmpty {
                page.line(divergence.isExact == false ? "  not kept in the log" : "  ends")
            } else {
                writeMerged(next)
            }
        }
    }

    /// Writes events and branches in the order in which they happened.
    private mutating func writeMerged(_ next: DivergenceDocument.Next) {
        var branches = next.branches[...]
        let lastClock = branches.last?.brctr.rawValue ?? .max
        var later: [DivergenceDocument.EventItem] = []
        for event in next.events {
            if !branches.isEmpty || next.branches.isEmpty, event.brctr.rawValue <= lastClock {
                let before = branches.prefix { $0.brctr.rawValue < event.brctr.rawValue }
                writeBranches(Array(before))
                branches = branches.dropFirst(before.count)
                write(event)
            } else {
                later.append(event)
            }
        }
        writeBranches(Array(branches))
        if let next = later.first {
            page.line("  …")
            write(next)
        }
    }

    /// Writes one branch a line; a branch that is repeated has one line with a count.
    private mutating func writeBranches(_ branches: [DivergenceDocument.BranchItem]) {
        var index = 0
        while index < branches.count {
            let branch = branches[index]
            var count = 1
            while index + count < branches.count, branches[index + count].isRepetition(of: branch) { count += 1 }
            page.pieces(
                [
                    "  \(branch.brctr.description.leftPadded(to: 10))  \(branch.from)\(ShortName.suffix(branch.fromSymbol))",
                    "-> \(branch.to)\(ShortName.suffix(branch.toSymbol))",
                    " \(branch.label)\(branch.isDiscontinuity ? " *" : "")\(count > 1 ? "  ×\(count)" : "")",
                ], hanging: 14)
            if let source = branch.source.map(ShortName.path) {
                let target = branch.toSource.map(ShortName.path)
                let arrow = target.map { $0 == source ? "" : " -> \($0)" } ?? ""
                page.line("".padded(to: 14) + page.styled(source + arrow, .dim))
            }
            index += count
        }
    }

    private mutating func write(_ event: DivergenceDocument.EventItem, note: String = "") {
        let place = event.ip.map { " at \($0)\(ShortName.suffix(event.symbol))" } ?? ""
        let details = event.details.onOneLine
        var pieces = [
            "  \(event.brctr.description.leftPadded(to: 10))  \(event.kind)\(place)\(details.isEmpty ? "" : ":")"
        ]
        pieces += details.split(separator: " ").map(String.init)
        if let icount = event.icount { pieces.append(" icount \(icount)") }
        if !note.isEmpty { pieces.append(" \(note)") }
        page.pieces(pieces, hanging: 14)
    }

    mutating func writeInputs(_ divergence: DivergenceDocument.DivergenceItem) {
        page.heading("last inputs before the divergence, the nearest first")
        if divergence.lastInputs.isEmpty { page.line("  none is recorded") }
        for input in divergence.lastInputs {
            var distance = Words.distance(input.transitions.rawValue, document.clockUnit)
            if let instructions = input.instructions {
                distance += ", " + Words.count(instructions.rawValue, "instruction")
            }
            write(input.original, note: "(\(distance) before)")
            guard input.isDifferent, let replay = input.replay else { continue }
            page.line("            in the replay:")
            write(replay)
        }
    }
}

extension DivergenceDocument.BranchItem {
    /// The same branch at another time.
    fileprivate func isRepetition(of other: DivergenceDocument.BranchItem) -> Bool {
        from == other.from && to == other.to && label == other.label
    }
}
