// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

// MARK: - Causes, paths after the divergence, calls
extension DivergenceText {
    /// Frames of a call stack that are shown.
    private static let shownFrames = 24
    /// Regions of the paths that are shown.
    private static let shownRegions = 8

    mutating func writeCauses(_ divergence: DivergenceDocument.DivergenceItem) {
        guard !divergence.causes.isEmpty else { return }
        page.heading(divergence.causes.count == 1 ? "possible cause" : "possible causes")
        for cause in divergence.causes { page.prose("- \(cause.text.onOneLine)", indent: 2, hanging: 4) }
    }

    // MARK: Afterwards

    mutating func writeAfterwards(_ divergence: DivergenceDocument.DivergenceItem) {
        guard let path = divergence.path else { return }
        page.heading("afterwards")
        page.prose(Convergence(divergence).text)
        let regions = path.regions + [path.openRegion].compactMap { $0 }
        guard regions.count > 1 || (path.agreedBefore.rawValue > 0 && !regions.isEmpty) else { return }
        page.prose(
            "in all, \(Words.branches(path.originalDiffering.rawValue)) of the original and "
                + "\(RowText.grouped(path.replayDiffering.rawValue)) of the replay differ, "
                + "\(RowText.grouped(path.agreedBranches.rawValue)) agree"
                + (path.isCut ? "; the comparison stopped at a limit" : ""))
        for region in regions.prefix(DivergenceText.shownRegions) {
            page.line(
                "  original \(DivergenceText.range(region.originalFrom, region.originalTo))  "
                    + "replay \(DivergenceText.range(region.replayFrom, region.replayTo))")
        }
        if regions.count > DivergenceText.shownRegions {
            page.line("  … \(Words.count(UInt64(regions.count - DivergenceText.shownRegions), "more region"))")
        }
    }

    private static func range(_ from: Counter, _ to: Counter) -> String {
        from.rawValue >= to.rawValue ? "none at \(from)" : "\(from):\(to)"
    }

    // MARK: Calls

    mutating func writeStacks(_ divergence: DivergenceDocument.DivergenceItem) {
        let stack = divergence.callStack
        guard has("branches"), stack.branchesSeen.rawValue > 0 else { return }
        page.heading("call stack, both runs, rebuilt from the last \(Words.branches(stack.branchesSeen.rawValue))")
        write(stack.frames)
        if stack.frames.isEmpty { page.line("  no call of these branches is open") }
        if !stack.isComplete, !stack.frames.isEmpty { page.line("  outer calls are unknown") }
        if let count = stack.firmwareFrames {
            page.line("  \(Words.count(UInt64(count), "call")) of the firmware and the boot code left out")
        }
        for (side, next) in [("original", divergence.originalNext), ("replay", divergence.replayNext)] {
            guard !next.calls.isEmpty else { continue }
            page.heading("calls of the \(side) only, after its branches above")
            write(next.calls)
        }
    }

    private mutating func write(_ frames: [DivergenceDocument.Stack.Frame]) {
        for (number, frame) in frames.prefix(DivergenceText.shownFrames).enumerated() {
            page.line("  #\(number)  \(frame.target)\(ShortName.suffix(frame.targetSymbol))")
            let source = frame.source.map { " \(ShortName.path($0))" } ?? ""
            page.pieces(
                [
                    "      \(frame.entry.phrase) \(frame.callSite)\(ShortName.suffix(frame.callSiteSymbol))\(source),",
                    "\(clock) \(frame.brctr)",
                ], hanging: 8)
        }
        let hidden = frames.count - DivergenceText.shownFrames
        if hidden > 0 { page.line("  … \(Words.count(UInt64(hidden), "more frame"))") }
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
