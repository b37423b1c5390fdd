// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat

/// Finds possible causes of a divergence: different settings of the two runs, different inputs, different state.
struct CauseFinder {
    let alignment: AlignmentResult
    let original: ReportedRun
    let replay: ReportedRun

    /// The explanations, the best first.
    ///
    /// Different settings come first: they precede every input.
    func causes(_ divergence: Divergence) -> [DivergenceDocument.CauseItem] {
        var causes = settings
        if let input = input(divergence) { causes.append(input) }
        if let state = state(divergence) { causes.append(state) }
        if causes.isEmpty, let hidden { causes.append(hidden) }
        return causes
    }

    /// The settings that differ between the two runs.
    private var settings: [DivergenceDocument.CauseItem] {
        let names = original.settings.map(\.name) + replay.settings.map(\.name)
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }.compactMap { name in
            let (a, b) = (original.setting(name), replay.setting(name))
            if name == RunSetting.inputLog, a == nil || b == nil || !isOneRecording { return nil }
            guard a?.identity != b?.identity, !original.settings.isEmpty, !replay.settings.isEmpty else { return nil }
            return DivergenceDocument.CauseItem(
                kind: .configuration,
                text: "the \(name) differs: \(a?.value ?? "none") in the original, \(b?.value ?? "none") in the replay",
                name: name, original: a?.value, replay: b?.value)
        }
    }

    /// Whether both runs belong to one recording: their input logs are then one file.
    private var isOneRecording: Bool {
        let uuid = original.log.header.uuid
        return uuid.isKnown && uuid == replay.log.header.uuid
    }

    private func input(_ divergence: Divergence) -> DivergenceDocument.CauseItem? {
        guard let difference = divergence.difference else { return nil }
        let events = [difference.original, difference.replay].compactMap { element -> Event? in
            if case .event(let event) = element { event } else { nil }
        }
        guard let event = events.first, event.kind.isInput else { return nil }
        let noun = Words.article(event.kind.name)
        let text: String
        switch divergence.verdict {
        case .payload: text = "\(noun) brings another value into the replay"
        case .missingEvent: text = "\(noun) does not reach the replay"
        case .extraEvent: text = "\(noun) reaches the replay only"
        case .movedEvent: text = "\(noun) reaches the replay at another position"
        case .identical, .controlFlow, .state, .replayEndedEarly, .originalEndedEarly, .notComparable: return nil
        }
        return DivergenceDocument.CauseItem(kind: .input, text: text + follows(difference))
    }

    /// The distance to the first branch that differs.
    private func follows(_ difference: FirstDifference) -> String {
        guard let vcpu = alignment.vcpus.first(where: { $0.vcpu == alignment.vcpu }), let path = vcpu[.path],
            path.isExact, path.clock > difference.clock
        else { return "" }
        return "; the first branch that differs is \(Words.count(path.clock - difference.clock, "transition")) later"
    }

    private func state(_ divergence: Divergence) -> DivergenceDocument.CauseItem? {
        guard let vcpu = alignment.vcpus.first(where: { $0.vcpu == divergence.vcpu }), let state = vcpu[.state],
            divergence.verdict != .state, state.clock < (divergence.difference?.clock ?? 0)
        else { return nil }
        return DivergenceDocument.CauseItem(
            kind: .state, text: "registers or memory differ from brctr \(state.clock) at the latest")
    }

    /// The data that the logs cannot show, if nothing else explains the divergence.
    private var hidden: DivergenceDocument.CauseItem? {
        let features = alignment.comparability.features
        var missing: [String] = []
        if !features.contains(.accessValues) { missing.append("the values of inputs") }
        if !features.contains(.state), !features.contains(.stateMemory) { missing.append("registers and memory") }
        guard !missing.isEmpty else { return nil }
        return DivergenceDocument.CauseItem(
            kind: .notSeen, text: "the logs do not record \(missing.joined(separator: ", or "))")
    }
}
