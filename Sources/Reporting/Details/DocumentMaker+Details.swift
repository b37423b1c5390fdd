// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment

extension DocumentMaker {
    /// Adds what a report in a file shows in addition.
    func addDetails(to document: inout DivergenceDocument) {
        document.settings = settings
        guard let vcpu = alignment.vcpu ?? alignment.vcpus.first?.vcpu else { return }
        let result = alignment.vcpus.first { $0.vcpu == vcpu }
        let branches = [result?[.path], result?[.instruction], result?[.instructionCount]].compactMap(\.?.clock).min()
        let events = [result?[.event], result?[.payload], result?[.state]].compactMap(\.?.clock).min()
        let end = result?.divergence.flatMap { $0.difference == nil ? $0.original.clock : nil }
        document.strip = StripMaker(
            original: original.log, replay: replay.log, vcpu: vcpu,
            firstDifference: (branches ?? events ?? end, events ?? branches ?? end)
        ).strip()
        document.console = ConsoleMaker(
            original: original.log, replay: replay.log, icount: alignment.divergence?.original.icount
        ).console()
    }

    /// The settings of both runs, those that differ first; nil if no manifest is known.
    private var settings: [DivergenceDocument.SettingItem]? {
        let names = original.settings.map(\.name) + replay.settings.map(\.name)
        var seen: Set<String> = []
        let items = names.filter { seen.insert($0).inserted }.map { name in
            let (a, b) = (original.setting(name), replay.setting(name))
            return DivergenceDocument.SettingItem(
                name: name, original: a?.value, replay: b?.value, isDifferent: a?.identity != b?.identity)
        }
        return items.isEmpty ? nil : items.filter(\.isDifferent) + items.filter { !$0.isDifferent }
    }

    /// The source lines of a divergence; nil without a tree or symbols.
    func sourceListing(_ divergence: Divergence) -> DivergenceDocument.SourceListing? {
        guard let tree = content.sources, let first = original.symbolizer, let second = replay.symbolizer else {
            return nil
        }
        return SourceListingMaker(tree: tree, original: first, replay: second).listing(divergence)
    }

    /// The calls after a divergence; nil if not asked for.
    func window(_ divergence: Divergence) -> DivergenceDocument.CallWindow? {
        guard content.hasDetails else { return nil }
        return CallWindowMaker(original: original, replay: replay, vcpu: divergence.vcpu)
            .window(divergence.original.clock, divergence.replay.clock)
    }
}
