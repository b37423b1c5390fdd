// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat
import MachineCode

/// Finds the instruction that decided the first branch that differs.
///
/// The code that ran before it follows from the last common branches: from the target of each to the next branch. The
/// runs have this code in common, so the original's code is read.
struct DecisionMaker {
    let code: CodeMap
    let names: Names

    /// The number of branches before the divergence through which data is followed.
    static let reach: UInt64 = 1024

    /// The decision about a difference of the path.
    ///
    /// - Parameters:
    ///   - path: the first difference of the path.
    ///   - last: the last branches that both runs have, the latest last.
    /// - Returns: nil if an interrupt or a fault decides, or if the code is not at hand.
    func decision(_ path: FirstDifference, _ last: [Branch]) -> DivergenceDocument.DecisionItem? {
        guard case .branch(let a) = path.original, case .branch(let b) = path.replay,
            let finder = try? DecisionFinder(code: code)
        else { return nil }
        let start = last.last?.to
        let deciding: Branch
        let takenBy: Side?
        if a.from == b.from {
            guard !b.label.isDiscontinuity else { return nil }
            (deciding, takenBy) = (a, nil)
        } else {
            guard let start, start <= min(a.from, b.from) else { return nil }
            (deciding, takenBy) = a.from < b.from ? (a, .original) : (b, .replay)
        }
        guard !deciding.label.isDiscontinuity else { return nil }
        let stretches = DecisionMaker.stretches(to: deciding.from, last)
        // The class `unknown` is no label: the recorder did not see the instruction.
        let isKnown = ![.none, .unknown].contains(deciding.label.branchClass)
        guard let found = finder.find(stretches, class: isKnown ? deciding.label.branchClass : nil) else { return nil }
        return DivergenceDocument.DecisionItem(
            instruction: item(found.instruction), takenBy: takenBy, steps: found.steps.map(item),
            registers: found.registers, since: HexWord(found.since), followed: found.followed)
    }

    /// The code that ran up to an instruction, the latest first, back to an interrupt or a change of privilege.
    static func stretches(to address: UInt64, _ last: [Branch]) -> [ClosedRange<UInt64>] {
        var stretches: [ClosedRange<UInt64>] = []
        var end = address
        for branch in last.reversed() {
            guard branch.to <= end else { break }
            stretches.append(branch.to...end)
            guard isFollowed(branch.label) else { return stretches }
            end = branch.from
        }
        return stretches.isEmpty ? [address...address] : stretches
    }

    /// Whether the registers before a branch are those after it.
    private static func isFollowed(_ label: BranchLabel) -> Bool {
        guard !label.isDiscontinuity else { return false }
        switch label.branchClass {
        case .jcc, .jmp, .jmpIndirect, .call, .callIndirect, .ret: return true
        default: return false
        }
    }

    private func item(_ step: Decision.Step) -> DivergenceDocument.DecisionStep {
        DivergenceDocument.DecisionStep(
            address: HexWord(step.address), symbol: names.symbol(step.address), source: names.source(step.address),
            text: step.text, sets: step.sets,
            loads: step.loads.map {
                DivergenceDocument.LoadItem(
                    text: $0.text, size: $0.size, address: $0.address.map(HexWord.init(_:)),
                    symbol: $0.address.flatMap(names.symbol))
            }, isInput: step.isInput, count: step.count)
    }
}
