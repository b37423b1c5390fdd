// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

// MARK: - Both sides run again
extension DivergenceText {
    /// Links of a chain that are shown at its beginning, and at its end.
    private static let shownLinks = 12
    /// Registers and words that are shown.
    private static let shownItems = 8

    mutating func writeZoom() {
        guard let zoom = document.zoom else { return }
        page.heading(
            zoom.onlySide.map { "the \($0.rawValue) run again: what its last decision was made of" }
                ?? "both sides run again: the first different value")
        if let text = zoom.originText { page.prose(text.onOneLine) }
        if let reason = zoom.reason { page.prose(reason.onOneLine) }
        if let branch = zoom.branch { write(branch) }
        if let running = zoom.running { write(running) }
        write(zoom.chain)
        if let registers = zoom.registers {
            page.prose(
                "registers there: "
                    + registers.map { "\($0.name.onOneLine)=\($0.value.onOneLine)" }.joined(separator: " "))
        }
        writeState(zoom)
        for warning in zoom.warnings { page.prose("- \(warning.onOneLine)", indent: 2, hanging: 4) }
        if let from = zoom.windowFrom, let to = zoom.windowTo {
            page.prose(
                "every instruction from \(RowText.grouped(from.rawValue)) to \(RowText.grouped(to.rawValue)) was logged"
                    + (zoom.onlySide == nil
                        ? " on both sides, \(RowText.grouped(zoom.commonInstructions.rawValue)) of them in common" : "")
            )
        }
        if let seconds = zoom.seconds { page.prose("it took \(DivergenceText.seconds(seconds)) s in all") }
        for step in zoom.steps {
            let seconds = step.seconds.map { "\(DivergenceText.seconds($0).leftPadded(to: 7)) s  " } ?? ""
            page.line(page.styled("    \(seconds)\(step.text.onOneLine)", .dim))
        }
    }

    private mutating func write(_ branch: DivergenceDocument.PartingItem) {
        let counts = [branch.brctr.map { " brctr \($0)" }, branch.icount.map { " icount \($0)" }].compactMap { $0 }
        page.prose(
            "the paths part after \(branch.ip)\(ShortName.suffix(branch.symbol))\(counts.joined()): "
                + "\(branch.original)\(ShortName.suffix(branch.originalSymbol)) != "
                + "\(branch.replay)\(ShortName.suffix(branch.replaySymbol))")
    }

    private mutating func write(_ running: DivergenceDocument.TasksItem) {
        let (original, replay) = (running.original, running.replay)
        if let original, original == replay {
            page.prose("running: \(DivergenceText.text(original))")
        } else {
            if let original { page.prose("running in the original: \(DivergenceText.text(original))") }
            if let replay { page.prose("running in the replay: \(DivergenceText.text(replay))") }
        }
    }

    /// `cat (/bin/busybox), pid 71`.
    private static func text(_ task: DivergenceDocument.TaskItem) -> String {
        let program = task.program.map { " (\($0.onOneLine))" } ?? ""
        let thread = task.pid == task.tgid ? "" : " of process \(task.tgid)"
        return "\(task.name.onOneLine)\(program), pid \(task.pid)\(thread)"
    }

    private mutating func write(_ chain: [DivergenceDocument.LinkItem]) {
        let turns = DivergenceText.withoutTurns(chain)
        let limit = DivergenceText.shownLinks
        for (number, turn) in turns.enumerated() {
            if turns.count > 2 * limit, number == limit {
                page.line("  … \(Words.count(UInt64(turns.count - 2 * limit), "more instruction"))")
            }
            if turns.count > 2 * limit, number >= limit, number < turns.count - limit { continue }
            write(turn.link)
            if turn.hidden > 0 { page.line("          … \(Words.count(UInt64(turn.hidden), "more turn")) of it") }
        }
    }

    /// A chain in which an instruction that is there several times in a row is left out between its first time and its last:
    /// how often, after the first.
    private static func withoutTurns(
        _ chain: [DivergenceDocument.LinkItem]
    ) -> [(link: DivergenceDocument.LinkItem, hidden: Int)] {
        var result: [(link: DivergenceDocument.LinkItem, hidden: Int)] = []
        var start = 0
        while start < chain.count {
            var end = start + 1
            while end < chain.count, chain[end].ip == chain[start].ip { end += 1 }
            let isLong = end - start > 3
            result.append((chain[start], isLong ? end - start - 2 : 0))
            result += chain[(isLong ? end - 1 : start + 1)..<end].map { ($0, 0) }
            start = end
        }
        return result
    }

    private mutating func write(_ link: DivergenceDocument.LinkItem) {
        let source = link.source.map { " \(ShortName.path($0))" } ?? ""
        page.pieces(
            [
                "  \(link.role.rawValue.padded(to: 8))\(link.ip)\(ShortName.suffix(link.symbol))\(source)",
                link.icount.map { "icount \($0)" } ?? "",
            ].filter { !$0.isEmpty }, hanging: 10)
        var line = "".padded(to: 10) + link.instruction.onOneLine
        let place: String
        if let address = link.address {
            place = "\(address)\(ShortName.suffix(link.addressSymbol))"
        } else {
            place = link.register ?? ""
        }
        if let original = link.original, let replay = link.replay {
            line += "   \(place): \(original) != \(replay)"
        } else if let value = link.original ?? link.replay {
            line += "   \(place): \(value)"
        } else if link.role == .compute || link.role == .input, !place.isEmpty {
            line += "   -> \(place)"
        }
        page.line(line)
    }

    private mutating func writeState(_ zoom: DivergenceDocument.ZoomItem) {
        guard zoom.startWords.rawValue > 0 || !zoom.startItems.isEmpty else { return }
        page.prose("at the window's start \(Words.count(zoom.startWords.rawValue, "word")) of memory differ")
        for item in zoom.startItems.prefix(DivergenceText.shownItems) {
            let name = item.register ?? item.physical.map { "physical \($0)" } ?? ""
            page.line("    \(name.onOneLine): \(item.original.onOneLine) != \(item.replay.onOneLine)")
        }
        let hidden = zoom.startItems.count - DivergenceText.shownItems
        if hidden > 0 { page.line("    … \(hidden) more") }
    }

    /// Two decimals.
    private static func seconds(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }
}
