// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import MachineCode
import Symbolize
import ToolSupport

/// What `tt-analyze verify --symbols` prints for people.
struct InstructionCheckText {
    private let check: InstructionCheck
    private let matches: [CodeMatch]

    init(_ check: InstructionCheck, _ matches: [CodeMatch]) {
        self.check = check
        self.matches = matches
    }

    func print() {
        for match in matches {
            line("file", "\(match.path): \(match.percent) % of \(match.places) branches' places fit")
        }
        line(
            "instructions", "\(check.stretches) stretches between branches, \(check.checked) of them in the files' code"
        )
        line("  equal", "\(check.equal) decode to as many instructions as began")
        count(
            "  repeated", check.repeated,
            "explained by repeated string instructions: \(check.iterations) more iterations")
        count(
            "  patched", check.patched,
            "explained by the places where this kernel changes its own code: \(check.patchedExactly) with one "
                + "instruction at each")
        count("  unseen", check.unseen, "end with an instruction that the recorder did not see")
        count("  uncounted", check.uncounted, "decode; the log has no instruction counts")
        let places = check.places.count < InstructionCheck.placeLimit ? "\(check.places.count)" : "many"
        line(
            "  unexplained",
            "\(check.unexplained)"
                + (check.unexplained == 0 ? "" : " contradict the files, at \(places) distinct instructions:"))
        for (reason, number) in reasons {
            line("    \(reason.name)", "\(number): \(reason.explanation)", width: 25)
        }
        for contradiction in check.contradictions { line("    ", contradiction.description, width: 0) }
        if check.unexplained > UInt64(check.contradictions.count) {
            line("    ", "… the first at \(check.contradictions.count) of these instructions", width: 0)
        }
        count("  discontinued", check.discontinued, "checked ones were ended by an interrupt, an exception or a fault")
        count(
            "  restarted", check.restarted, "checked ones begin with an instruction that had been left so: begun again")
        count("  outside", check.outside, "run where no file has code: \(check.outsideInstructions) instructions")
        count("  no beginning", check.withoutBeginning, "at the beginning of the log or behind a gap")
        for mode in [CodeMode.bits16, .bits32] {
            count("  \(mode.rawValue)-bit", check.modes[mode] ?? 0, "checked ones are \(mode.rawValue)-bit code")
        }
    }

    private var reasons: [(InstructionCheck.Reason, UInt64)] {
        check.contradicted.sorted { ($1.value, $0.key.name) < ($0.value, $1.key.name) }
    }

    private func line(_ title: String, _ text: String, width: Int = 16) {
        Output.standard.line(title + String(repeating: " ", count: max(0, width - title.count)) + text.onOneLine)
    }

    private func count(_ title: String, _ number: UInt64, _ text: String) {
        if number > 0 { line(title, "\(number) \(text)") }
    }
}

extension InstructionCheck.Reason {
    /// The reason as words about a stretch.
    var explanation: String {
        switch self {
        case .decoding(let outcome): outcome.explanation
        case .count: "another number of instructions began"
        case .label: "the instruction that the branch left is of another class than its label"
        case .target: "the instruction that the branch left goes elsewhere"
        }
    }
}

extension InstructionCheck.Contradiction: CustomStringConvertible {
    /// `brctr 1234: 0x1000 ... 0x1010 -> 0x2000 (jcc!): 5 instructions began, 4 are there`
    public var description: String {
        let place =
            "vcpu \(vcpu) brctr \(branch.clock): \(RowText.hex(stretch.begin)) … \(RowText.hex(stretch.end)) "
            + "-> \(RowText.hex(branch.to)) (\(branch.label.name)): "
        let began = begun.map { ", \($0) began" } ?? ""
        switch reason {
        case .decoding(let outcome):
            return place
                + "\(outcome.name) at \(RowText.hex(stretch.stop)), after \(stretch.count) instructions\(began)"
        case .count:
            return place + "\(stretch.count) instructions\(began)"
        case .label:
            return place + "the file has \(stretch.last.branchClass.name) there"
        case .target:
            return place + "the file's instruction goes to \(RowText.hex(stretch.last.target))"
        }
    }
}

/// What `tt-analyze verify --symbols --format json` adds.
struct InstructionCheckDocument: Encodable {
    struct Contradiction: Encodable {
        var vcpu: UInt16
        var brctr: String
        var begin: String
        var end: String
        var to: String
        var label: String
        var reason: String
        var stop: String
        var instructions: String
        var begun: String?
    }

    var stretches: String
    var checked: String
    var equal: String
    var repeated: String
    var iterations: String
    var patched: String
    var patchedExactly: String
    var unseen: String
    var uncounted: String
    var unexplained: String
    /// Distinct instructions; many are given as the limit of what is kept.
    var places: String
    var reasons: [String: String]
    var contradictions: [Contradiction]
    var discontinued: String
    var restarted: String
    var outside: String
    var outsideInstructions: String
    var withoutBeginning: String
    var instructions: String
    var modes: [String: String]
    var files: [File]

    struct File: Encodable {
        var path: String
        var places: String
        var fitting: String
        var belongs: Bool
    }

    init(_ check: InstructionCheck, _ matches: [CodeMatch]) {
        files = matches.map {
            File(
                path: $0.path, places: String($0.places), fitting: String($0.fitting), belongs: $0.belongs)
        }
        stretches = String(check.stretches)
        checked = String(check.checked)
        equal = String(check.equal)
        repeated = String(check.repeated)
        iterations = String(check.iterations)
        patched = String(check.patched)
        patchedExactly = String(check.patchedExactly)
        unseen = String(check.unseen)
        uncounted = String(check.uncounted)
        unexplained = String(check.unexplained)
        places = String(check.places.count)
        reasons = Dictionary(uniqueKeysWithValues: check.contradicted.map { ($0.key.name, String($0.value)) })
        contradictions = check.contradictions.map {
            Contradiction(
                vcpu: $0.vcpu, brctr: String($0.branch.clock), begin: RowText.hex($0.stretch.begin),
                end: RowText.hex($0.stretch.end), to: RowText.hex($0.branch.to), label: $0.branch.label.name,
                reason: $0.reason.name, stop: RowText.hex($0.stretch.stop), instructions: String($0.stretch.count),
                begun: $0.begun.map { String($0) })
        }
        discontinued = String(check.discontinued)
        restarted = String(check.restarted)
        outside = String(check.outside)
        outsideInstructions = String(check.outsideInstructions)
        withoutBeginning = String(check.withoutBeginning)
        instructions = String(check.instructions)
        modes = Dictionary(uniqueKeysWithValues: check.modes.map { (String($0.key.rawValue), String($0.value)) })
    }
}
