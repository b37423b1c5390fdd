// SPDX-License-Identifier: GPL-2.0-or-later

// The deciding instruction, and those from which its data comes.
extension PageModel {
    func decision(_ decision: DivergenceDocument.DecisionItem) -> Values {
        let path = "\(base)/decided_by"
        let steps = decision.steps.enumerated().map { step($1, "\(path)/steps/\($0)") }
        return Values([
            "steps": [step(decision.instruction, "\(path)/instruction")] + steps,
            "taken": Figure(decision.takenBy?.rawValue, "\(path)/taken_by"),
            "registers": decision.registers.enumerated().compactMap { Figure($1, "\(path)/registers/\($0)") },
            "hasRegisters": !decision.registers.isEmpty, "since": Figure(decision.since, "\(path)/since"),
        ])
    }

    private func step(_ step: DivergenceDocument.DecisionStep, _ path: String) -> Values {
        Values([
            "sets": step.sets.enumerated().compactMap { Figure($1, "\(path)/sets/\($0)") },
            "decides": step.sets.isEmpty, "text": Figure(step.text, "\(path)/text"),
            "ip": Figure(step.address, "\(path)/address"), "symbol": Figure(step.symbol, "\(path)/symbol"),
            "source": Figure(step.source, "\(path)/source"), "isInput": step.isInput,
            "loads": step.loads.enumerated().map { index, load in
                let place = "\(path)/loads/\(index)"
                return Values([
                    "text": Figure(load.text, "\(place)/text"), "address": Figure(load.address, "\(place)/address"),
                    "symbol": Figure(load.symbol, "\(place)/symbol"),
                ])
            },
            "count": step.count > 1 ? Figure("\(step.count)", "\(path)/count") : nil,
        ])
    }
}
