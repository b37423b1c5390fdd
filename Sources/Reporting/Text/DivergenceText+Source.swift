// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

// MARK: - Source lines
extension DivergenceText {
    /// Lines that are shown before and after the one in which the runs part.
    private static let reach = 12

    mutating func writeSource(_ divergence: DivergenceDocument.DivergenceItem) {
        guard let listing = divergence.sourceListing, !listing.lines.isEmpty else { return }
        page.heading("source of \(listing.function.onOneLine) (= both, < original only, > replay only)")
        page.line("  \(ShortName.path(listing.path))")
        let place = listing.lines.firstIndex(where: \.isDivergence) ?? 0
        let shown = listing.lines[max(0, place - Self.reach)..<min(listing.lines.count, place + Self.reach + 1)]
        for line in shown {
            let text =
                "  \(line.mark)\(line.isDivergence ? "*" : " ") \("\(line.number)".leftPadded(to: 5))  \(line.text.onOneLine)"
            let cut = text.count > page.style.width ? text.prefix(page.style.width - 1) + "…" : text[...]
            page.line(line.isDivergence ? page.styled(String(cut), .red) : String(cut))
        }
        page.line("  * here the runs part")
    }
}

extension DivergenceDocument.SourceListing.Line {
    /// Which runs executed the line after the last common branch: `=`, `<`, `>` or a blank.
    var mark: String {
        switch (original, replay) {
        case (true, true): "="
        case (true, false): "<"
        case (false, true): ">"
        case (false, false): " "
        }
    }
}
