// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting

extension DivergenceDocument {
    /// The document as text for a terminal or a bug report. Control characters from the logs are escaped.
    public func text(_ style: TextStyle = TextStyle()) -> String {
        var renderer = DivergenceText(document: self, page: TextPage(style))
        renderer.write()
        return renderer.page.text
    }
}

/// Renders a document as text.
///
/// The order of the sections is the order of a reader's questions: what is it, where is it, in what do the runs differ,
/// why, what did both do last, what did each do next, how did they get there, which inputs came last, what was not
/// compared, what can I do next.
struct DivergenceText {
    let document: DivergenceDocument
    var page: TextPage

    /// The vCPU that the verdict is about.
    var vcpu: DivergenceDocument.VCPU? { document.vcpus.first { $0.vcpu == document.vcpu } }

    /// The word before a position.
    var clock: String { Words.clock(document.clockUnit) }

    /// Whether both logs have a feature.
    func has(_ feature: String) -> Bool { document.features.contains(feature) }

    mutating func write() {
        page.line(page.styled(document.title, document.verdict == .identical ? .green : .red))
        if !document.summary.isEmpty { page.prose(document.summary.onOneLine) }
        if let divergence = vcpu?.divergence {
            writePositions(divergence)
            writeRunning(divergence)
            writeFields(divergence)
            writeDecision(divergence)
            writeCauses(divergence)
            writeZoom()
            writeCommon(divergence)
            writeNext(divergence)
            writeSource(divergence)
            writeAfterwards(divergence)
            writeStacks(divergence)
            writeInputs(divergence)
            writeFirsts()
        } else {
            writeZoom()
        }
        writeOtherVCPUs()
        writeCaveats()
        writeNextSteps()
    }

    // MARK: Where and what

    private mutating func writePositions(_ divergence: DivergenceDocument.DivergenceItem) {
        page.heading(document.vcpus.count > 1 ? "where (vCPU \(document.vcpu ?? 0))" : "where")
        let places = [("original", divergence.original), ("replay", divergence.replay)]
        for (side, place) in places + (divergence.guestAt.map { [("guest at", $0)] } ?? []) {
            var text = "\(clock) \(place.brctr)"
            if let last = place.brctrLast { text += " to \(last)" }
            if let icount = place.icount { text += ", icount \(icount)" }
            page.line("  \(side.padded(to: 8))  \(text)")
            guard let ip = place.ip else { continue }
            let source = place.source?.first.map { "  \(ShortName.path($0))" } ?? ""
            page.line("            \(ip)\(ShortName.suffix(place.symbol))\(source)")
            for frame in place.inlinedInto ?? [] {
                let source = frame.source.map { " at \(ShortName.path($0))" } ?? ""
                page.line("              inlined into \(frame.function.onOneLine)\(source)")
            }
        }
    }

    private mutating func writeRunning(_ divergence: DivergenceDocument.DivergenceItem) {
        guard let running = divergence.running else { return }
        page.heading("running")
        let code =
            switch running.mode {
            case .user: "user code"
            case .kernel: "kernel code"
            case nil: "code"
            }
        if let space = running.addressSpace, let since = running.since {
            page.line("  \(code) in the address space \(space), since \(clock) \(since.brctr)")
        } else {
            page.line("  \(code)")
        }
        guard let user = running.user, let ip = user.ip else { return }
        let program = running.program.map { " of \(ShortName.path($0))" } ?? ""
        let entry = running.mode == .user ? "at" : "entered at \(clock) \(user.brctr) from"
        page.line("  \(entry) \(ip)\(ShortName.suffix(user.symbol))\(program)")
    }

    private mutating func writeFields(_ divergence: DivergenceDocument.DivergenceItem) {
        guard !divergence.fields.isEmpty else { return }
        page.heading("difference (original != replay)")
        let width = divergence.fields.map(\.name.count).max() ?? 0
        for field in divergence.fields {
            let name = field.name.padded(to: width)
            let original = (field.original?.onOneLine ?? "absent") + ShortName.suffix(field.originalSymbol)
            let replay = (field.replay?.onOneLine ?? "absent") + ShortName.suffix(field.replaySymbol)
            let line = "  \(name)  \(original) != \(replay)"
            if line.count <= page.style.width {
                page.line(line)
            } else {
                page.line("  \(name)  \(original)")
                page.line("  \("".padded(to: width))  != \(replay)")
            }
        }
    }

    // MARK: The rest

    private mutating func writeFirsts() {
        guard let vcpu else { return }
        page.heading("first difference by class")
        for differenceClass in FirstDifference.Class.allCases {
            let first = vcpu.firsts[differenceClass.rawValue]
            guard first != nil || differenceClass.isAlwaysReported else { continue }
            let name = differenceClass.rawValue.padded(to: 18)
            page.line(
                "  \(name)\(first.map(place) ?? (isSeen(differenceClass) ? "none" : "not recorded"))")
        }
    }

    private func place(_ first: DivergenceDocument.First) -> String {
        let (from, to) = (first.from.rawValue, first.to.rawValue)
        if first.isExact || to <= from &+ 1 { return "\(clock) \(from)" }
        return "between \(clock) \(from) and \(to &- 1)"
    }

    /// Whether both logs can show differences of a class.
    private func isSeen(_ differenceClass: FirstDifference.Class) -> Bool {
        switch differenceClass {
        case .path, .instruction, .instructionCount: has("branches")
        case .state: has("state") || has("state-memory")
        case .event, .payload: true
        }
    }

    private mutating func writeOtherVCPUs() {
        let others = document.vcpus.filter { $0.vcpu != document.vcpu && $0.divergence != nil }
        guard !others.isEmpty else { return }
        page.heading("other vCPUs")
        for other in others {
            let position = other.divergence?.original.brctr.rawValue ?? 0
            page.line("  vCPU \(other.vcpu): \(other.title) at \(clock) \(position)")
        }
    }

    private mutating func writeCaveats() {
        guard !document.caveats.isEmpty else { return }
        page.heading("caveats")
        for caveat in document.caveats {
            let side = caveat.side.map { "\($0.rawValue): " } ?? ""
            page.prose("- \(side)\(caveat.text.onOneLine)", indent: 2, hanging: 4)
        }
    }

    private mutating func writeNextSteps() {
        guard !document.commands.isEmpty else { return }
        page.heading("next steps")
        for step in document.commands {
            page.line(page.styled("  # \(step.purpose)", .dim))
            page.line("  \((step.command ?? DivergenceText.place(step)).onOneLine)")
        }
    }

    /// The place of a step, for a document without command lines.
    private static func place(_ step: DivergenceDocument.NextStep) -> String {
        var text = step.path
        if let brctr = step.brctr { text += ", brctr \(brctr)" }
        if let address = step.address { text += ", at \(address)" }
        return text
    }
}

extension FirstDifference.Class {
    /// Whether a report names the class even if no part of it differs.
    var isAlwaysReported: Bool {
        switch self {
        case .path, .event, .payload, .state: true
        case .instruction, .instructionCount: false
        }
    }
}
