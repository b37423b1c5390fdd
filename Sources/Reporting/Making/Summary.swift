// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat

extension Verdict {
    /// The verdict in a few words: the first line of a report.
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

/// The sentence that states what happened.
struct Summary {
    let alignment: AlignmentResult
    let original: ReportedRun
    let replay: ReportedRun

    private var unit: DivergenceDocument.ClockUnit? { DivergenceDocument.ClockUnit(original.log.header.clock) }

    /// One sentence without a final period.
    var text: String {
        let divergence = alignment.divergence
        let difference = divergence?.difference
        switch alignment.verdict {
        case .identical: return identical
        case .notComparable(let reasons): return reasons.joined(separator: "; ")
        case .controlFlow(let what): return controlFlow(what, difference)
        case .missingEvent: return "the original has \(noun(difference?.original)) that the replay lacks"
        case .extraEvent: return "the replay has \(noun(difference?.replay)) that the original lacks"
        case .movedEvent(let transitions, let instructions):
            let event = noun(difference?.original ?? difference?.replay)
            guard difference?.isExact == true else { return "\(event) is at another position in the replay" }
            return "\(event) comes \(Words.distance(transitions, instructions, unit)) in the replay"
        case .payload: return "\(noun(difference?.original)) has other contents in the replay"
        case .state:
            let names = (difference?.fields ?? []).map(\.name).joined(separator: ", ")
            let what = names.isEmpty ? "the state" : names
            return "at a place that both runs reach, \(what) differ" + stateCell(difference)
        case .replayEndedEarly: return "the replay is the beginning of the original: \(endReason)"
        case .originalEndedEarly: return "the original is the beginning of the replay: \(endReason)"
        }
    }

    /// The branch cell in which a difference of state began.
    ///
    /// Our recorders write state digests at the ends of branch cells. The digest before this one agrees.
    private func stateCell(_ difference: FirstDifference?) -> String {
        let shift = UInt64(original.log.header.branchCellShift)
        guard let clock = difference?.clocks.lowerBound, shift < 64, clock > 0 else { return "" }
        let length = UInt64(1) << shift
        guard clock % length == 0 else { return "" }
        return "; the difference began in the branch cell \(clock - length):\(clock)"
    }

    private var endReason: String {
        alignment.divergence?.endReason?.onOneLine ?? "its log has no reason"
    }

    private func noun(_ element: Element?) -> String {
        guard case .event(let event) = element else { return "an event" }
        return Words.article(event.kind.name)
    }

    private func controlFlow(_ what: ControlFlowDifference, _ difference: FirstDifference?) -> String {
        guard case .branch(let a) = difference?.original, case .branch(let b) = difference?.replay else {
            return "the branches of the cell differ; the log does not keep which one is the first"
        }
        switch what {
        case .path where a.from == b.from: return "a branch goes elsewhere in the replay"
        case .path:
            // Both runs reached one place. One run took the branch at the lower address, and the other did not.
            let start = alignment.divergence?.context.lastBranches.last?.to ?? .max
            guard start <= min(a.from, b.from), max(a.from, b.from) - start < 4096 else {
                return "the runs leave the code that they have in common by different branches"
            }
            let (taken, passed) = a.from < b.from ? ("original", "replay") : ("replay", "original")
            let from = min(a.from, b.from)
            let symbol = ShortName.suffix(Names(symbolizer: original.symbolizer).symbol(from))
            return "at \(RowText.hex(from))\(symbol) the \(taken) branches, the \(passed) goes straight on"
        case .instruction: return "different instructions make the same branch: the code differs"
        case .instructionCount:
            let skew = Int64(bitPattern: b.icount &- a.icount)
            return "the same branch comes after \(Words.count(skew.magnitude, "instruction"))"
                + " \(skew > 0 ? "more" : "fewer") in the replay"
        }
    }

    private var identical: String {
        let branches = alignment.vcpus.reduce(0) { $0 + $1.branchesCompared }
        let events = alignment.vcpus.reduce(0) { $0 + $1.eventsCompared }
        var parts: [String] = []
        if alignment.comparability.features.contains(.branches) { parts.append(Words.branches(branches)) }
        parts.append(Words.count(events, "event"))
        let isPartial = alignment.caveats.contains { $0.kind == .notCompared || $0.kind == .damaged }
        return parts.joined(separator: " and ") + " agree\(end)"
            + (isPartial ? "; parts of the logs were not compared (see caveats)" : "")
    }

    /// Up to where the two runs agree.
    private var end: String {
        guard let vcpu = alignment.vcpus.first else { return "" }
        let end = original.log.comparableEnd(vcpu: vcpu.vcpu) ?? replay.log.comparableEnd(vcpu: vcpu.vcpu)
        guard let end else { return ", up to the end of the logs" }
        return ", up to the comparable end at brctr \(end.clock)"
    }
}
