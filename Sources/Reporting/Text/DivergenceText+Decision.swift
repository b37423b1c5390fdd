// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting

// MARK: - The deciding instruction
extension DivergenceText {
    mutating func writeDecision(_ divergence: DivergenceDocument.DivergenceItem) {
        guard let decision = divergence.decidedBy else { return }
        page.heading("decided by")
        let taken = decision.takenBy.map { side in
            "  (the \(side.rawValue) takes it, the \(side == .original ? "replay" : "original") does not)"
        }
        write(decision.instruction, "", note: taken ?? "")
        for step in decision.steps {
            write(step, "\(step.sets.joined(separator: ", ")) from", note: step.count > 1 ? "  ×\(step.count)" : "")
        }
        guard !decision.registers.isEmpty else { return }
        let names = decision.registers.joined(separator: ", ")
        page.prose("\(names) from before \(decision.since), where the code that was followed begins", indent: 2)
    }

    private mutating func write(_ step: DivergenceDocument.DecisionStep, _ head: String, note: String) {
        if !head.isEmpty { page.line("  \(head)") }
        let indent = head.isEmpty ? "  " : "    "
        var pieces = ["\(indent)\(step.address)\(ShortName.suffix(step.symbol))", "  \(step.text.onOneLine)"]
        if !note.isEmpty { pieces.append(note) }
        page.pieces(pieces, hanging: 6)
        if let source = step.source { page.line("".padded(to: 6) + page.styled(ShortName.path(source), .dim)) }
        for load in step.loads {
            let place = load.address.map { " at \($0)\(ShortName.suffix(load.symbol))" } ?? ""
            page.line("      reads \(Words.count(UInt64(load.size), "byte")) of memory: \(load.text)\(place)")
        }
        if step.isInput { page.line("      an input from outside the guest") }
    }
}
