// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import MachineCode

/// The result of checking a log's branches against the code of files, for people.
public struct InstructionCheckText {
    private let check: InstructionCheck
    private let matches: [CodeMatch]
    private let sink: any TextSink

    /// - Parameter sink: Receives the lines.
    public init(_ check: InstructionCheck, _ matches: [CodeMatch], to sink: any TextSink) {
        self.sink = sink
        self.check = check
        self.matches = matches
    }

    /// Writes the result.
    public func write() {
        for match in matches {
            line("file", "\(match.path): \(match.percent) % of \(match.places) branches' places fit")
        }
        line(
            "instructions", "\(check.stretches) stretches between branches, \(check.checked) of them in the files' code"
        )
        line("  equal", "\(check.equal) decode to the number of instructions that began")
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
            "  restarted", check.restarted, "checked ones begin with an instruction left so, which begins again")
        count("  outside", check.outside, "run where no file has code: \(check.outsideInstructions) instructions")
        count("  no beginning", check.withoutBeginning, "at the beginning of the log or after a gap")
        for mode in [CodeMode.bits16, .bits32] {
            count("  \(mode.rawValue)-bit", check.modes[mode] ?? 0, "checked ones are \(mode.rawValue)-bit code")
        }
    }

    private var reasons: [(InstructionCheck.Reason, UInt64)] {
        check.contradicted.sorted { ($1.value, $0.key.name) < ($0.value, $1.key.name) }
    }

    private func line(_ title: String, _ text: String, width: Int = 16) {
        sink.line(title + String(repeating: " ", count: max(0, width - title.count)) + text.onOneLine)
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
