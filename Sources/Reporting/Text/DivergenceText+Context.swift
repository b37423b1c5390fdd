// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

// MARK: - What happened around a divergence
extension DivergenceText {
    /// Frames of a call stack that are shown.
    private static let shownFrames = 24

    mutating func writeCommon(_ divergence: DivergenceDocument.DivergenceItem) {
        page.heading("last common events")
        if divergence.lastCommonEvents.isEmpty { page.line("  none") }
        for event in divergence.lastCommonEvents { page.line(row(event)) }
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
                page.line(row(event))
            } else {
                later.append(event)
            }
        }
        writeBranches(Array(branches))
        if let next = later.first {
            page.line("  …")
            page.line(row(next))
        }
    }

    /// Writes one branch a line; a branch that is repeated has one line with a count.
    private mutating func writeBranches(_ branches: [DivergenceDocument.BranchItem]) {
        var index = 0
        while index < branches.count {
            let branch = branches[index]
            var count = 1
            while index + count < branches.count, branches[index + count].isRepetition(of: branch) { count += 1 }
            page.line(row(branch) + (count > 1 ? "  ×\(count)" : ""))
            if let source = branch.source.map(ShortName.path) {
                let target = branch.toSource.map(ShortName.path)
                let arrow = target.map { $0 == source ? "" : " -> \($0)" } ?? ""
                page.line("".padded(to: 14) + page.styled(source + arrow, .dim))
            }
            index += count
        }
    }

    private func row(_ branch: DivergenceDocument.BranchItem) -> String {
        "  \(branch.brctr.description.leftPadded(to: 10))  \(branch.from)\(ShortName.suffix(branch.fromSymbol)) -> "
            + "\(branch.to)\(ShortName.suffix(branch.toSymbol))  \(branch.label)\(branch.isDiscontinuity ? " *" : "")"
    }

    private func row(_ event: DivergenceDocument.EventItem) -> String {
        var text = "  \(event.brctr.description.leftPadded(to: 10))  \(event.kind)"
        if let ip = event.ip { text += " at \(ip)\(ShortName.suffix(event.symbol))" }
        if !event.details.isEmpty { text += ": \(event.details.onOneLine)" }
        if let icount = event.icount { text += "  icount \(icount)" }
        return text
    }

    mutating func writeConvergence(_ divergence: DivergenceDocument.DivergenceItem) {
        guard let convergence = divergence.convergence else {
            guard divergence.isExact == true, has("branches") else { return }
            page.heading("afterwards")
            let count = divergence.branchesSearched.rawValue
            page.prose(
                count < 32
                    ? "too few branches follow to say whether the runs meet again"
                    : "within \(Words.branches(count)) the runs do not meet again")
            return
        }
        page.heading("afterwards")
        let (a, b) = (convergence.originalBranches.rawValue, convergence.replayBranches.rawValue)
        var text: String
        if a == 0, b == 0 {
            text = "the branches that follow are the same in both runs"
        } else if a == b {
            text = "\(Words.branches(a)) differ, then the runs agree again"
        } else {
            text =
                "after \(Words.branches(a)) of the original and \(RowText.grouped(b)) of the replay "
                + "the runs agree again"
        }
        text += " for \(convergence.isOpenEnded ? "at least " : "")"
        text += Words.branches(convergence.agreedBranches.rawValue)
        page.prose(text)
    }

    mutating func writeStack(_ divergence: DivergenceDocument.DivergenceItem) {
        let stack = divergence.callStack
        guard has("branches"), stack.branchesSeen.rawValue > 0 else { return }
        page.heading("call stack, both runs, rebuilt from the last \(Words.branches(stack.branchesSeen.rawValue))")
        for (number, frame) in stack.frames.prefix(DivergenceText.shownFrames).enumerated() {
            let source = frame.source.map { "  \(ShortName.path($0))" } ?? ""
            page.line("  #\(number)  \(frame.target)\(ShortName.suffix(frame.targetSymbol))")
            page.line(
                "      \(frame.entry.phrase) \(frame.callSite)\(ShortName.suffix(frame.callSiteSymbol))\(source), "
                    + "brctr \(frame.brctr)")
        }
        let hidden = stack.frames.count - DivergenceText.shownFrames
        if hidden > 0 { page.line("  … \(Words.count(UInt64(hidden), "more frame"))") }
        if stack.frames.isEmpty { page.line("  no call of these branches is open") }
    }

    mutating func writeInput(_ divergence: DivergenceDocument.DivergenceItem) {
        page.heading("input consumed last before the divergence")
        page.line(divergence.lastInput.map(row) ?? "  none is recorded")
    }
}

extension DivergenceDocument.BranchItem {
    /// The same branch at another time.
    fileprivate func isRepetition(of other: DivergenceDocument.BranchItem) -> Bool {
        from == other.from && to == other.to && label == other.label
    }
}

extension DivergenceDocument.Stack.Entry {
    /// How the frame was entered, before the address of the instruction that entered it.
    fileprivate var phrase: String {
        switch self {
        case .call: "called from"
        case .systemCall: "entered from"
        case .start: "started from"
        case .interruption: "interrupted at"
        }
    }
}
