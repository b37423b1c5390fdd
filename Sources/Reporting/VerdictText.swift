// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat

extension Verdict {
    /// The verdict in a few words: what stands at the head of a report.
    public var title: String {
        switch self {
        case .identical: "identical"
        case .controlFlow(.path): "control flow differs"
        case .controlFlow(.instruction): "control flow differs: another instruction"
        case .controlFlow(.instructionCount): "control flow differs: another number of instructions"
        case .missingEvent: "missing event"
        case .extraEvent: "extra event"
        case .movedEvent: "event at another position"
        case .payload: "payload differs"
        case .state: "state differs"
        case .replayEndedEarly: "replay ended early"
        case .originalEndedEarly: "original ended early"
        case .notComparable: "not comparable"
        }
    }
}

/// Numbers and nouns for sentences.
enum Words {
    /// `1 branch`, `2,029,514 branches`.
    static func count(_ number: UInt64, _ singular: String, _ plural: String? = nil) -> String {
        "\(RowText.grouped(number)) \(number == 1 ? singular : plural ?? singular + "s")"
    }

    /// `an interrupt`, `a port-read`.
    static func article(_ noun: String) -> String {
        let isVowel = noun.first.map { "aeio".contains($0) } ?? false
        return (isVowel ? "an " : "a ") + noun
    }

    /// `10 transitions late`, `3 transitions early`.
    static func distance(_ transitions: Int64, _ instructions: Int64?) -> String {
        var parts: [String] = []
        if transitions != 0 { parts.append(count(transitions.magnitude, "transition")) }
        if let instructions, instructions != 0 { parts.append(count(instructions.magnitude, "instruction")) }
        guard !parts.isEmpty else { return "at another instruction" }
        let isLate = transitions != 0 ? transitions > 0 : (instructions ?? 0) > 0
        return parts.joined(separator: " and ") + (isLate ? " late" : " early")
    }
}

extension DivergenceReport {
    /// One sentence that says what happened, for the head of a report.
    var sentence: String {
        switch alignment.verdict {
        case .identical: return identicalSentence
        case .notComparable(let reasons): return reasons.joined(separator: "; ")
        default: break
        }
        guard let divergence = alignment.divergence else { return "" }
        let difference = divergence.difference
        switch divergence.verdict {
        case .controlFlow(let what): return controlFlowSentence(what, difference)
        case .missingEvent:
            return "the original has \(noun(difference?.original)) that the replay lacks"
        case .extraEvent:
            return "the replay has \(noun(difference?.replay)) that the original lacks"
        case .movedEvent(let transitions, let instructions):
            let event = noun(difference?.original ?? difference?.replay)
            guard difference?.isExact == true else { return "\(event) stands elsewhere in the replay" }
            return "\(event) comes \(Words.distance(transitions, instructions)) in the replay"
        case .payload: return "\(noun(difference?.original)) has other contents in the replay"
        case .state:
            let names = (difference?.fields ?? []).map(\.name).joined(separator: ", ")
            let what = names.isEmpty ? "the state" : names
            return "at a place that both runs reach, \(what) differ" + stateCell(difference)
        case .replayEndedEarly: return "the replay is the beginning of the original: \(endText(divergence))"
        case .originalEndedEarly: return "the original is the beginning of the replay: \(endText(divergence))"
        case .identical, .notComparable: return ""
        }
    }

    /// In which cell a difference of state began, where the digests stand at the ends of branch cells, as our recorders'
    /// do: those of the cells before agree.
    private func stateCell(_ difference: FirstDifference?) -> String {
        let shift = UInt64(original.header.branchCellShift)
        guard let clock = difference?.clocks.lowerBound, shift < 64, clock > 0 else { return "" }
        let length = UInt64(1) << shift
        guard clock % length == 0 else { return "" }
        return "; that began in the branch cell \(clock - length):\(clock)"
    }

    private func endText(_ divergence: Divergence) -> String {
        divergence.endReason?.onOneLine ?? "it does not say why"
    }

    private func noun(_ element: Element?) -> String {
        guard case .event(let event) = element else { return "an event" }
        return Words.article(event.kind.name)
    }

    private func controlFlowSentence(_ what: ControlFlowDifference, _ difference: FirstDifference?) -> String {
        guard case .branch(let a) = difference?.original, case .branch(let b) = difference?.replay else {
            return "the branches of the cell differ; which one first was not kept"
        }
        switch what {
        case .path where a.from == b.from: return "a branch goes elsewhere in the replay"
        case .path:
            // Both came to one place. The branch at the lower address was taken by one run and not by the other.
            let start = alignment.divergence?.context.lastBranches.last?.to ?? .max
            guard start <= min(a.from, b.from), max(a.from, b.from) - start < 4096 else {
                return "the runs leave the code that they have in common by different branches"
            }
            let (taken, passed) = a.from < b.from ? ("original", "replay") : ("replay", "original")
            let from = min(a.from, b.from)
            return "at \(places.text(from, .original)) the \(taken) branches, the \(passed) goes straight on"
        case .instruction: return "the same branch is made by different instructions: the code differs"
        case .instructionCount:
            let skew = Int64(bitPattern: b.icount &- a.icount)
            return "the same branch comes after \(Words.count(skew.magnitude, "instruction"))"
                + " \(skew > 0 ? "more" : "fewer") in the replay"
        }
    }

    private var identicalSentence: String {
        let branches = alignment.vcpus.reduce(0) { $0 + $1.branchesCompared }
        let events = alignment.vcpus.reduce(0) { $0 + $1.eventsCompared }
        var parts: [String] = []
        if alignment.comparability.features.contains(.branches) {
            parts.append(Words.count(branches, "branch", "branches"))
        }
        parts.append(Words.count(events, "event"))
        return parts.joined(separator: " and ") + " agree\(endPhrase)"
    }

    /// Up to where two runs agree.
    private var endPhrase: String {
        guard let vcpu = alignment.vcpus.first else { return "" }
        let end = original.comparableEnd(vcpu: vcpu.vcpu) ?? replay.comparableEnd(vcpu: vcpu.vcpu)
        guard let end else { return ", up to the end of the logs" }
        return ", up to the comparable end at brctr \(end.clock)"
    }
}
