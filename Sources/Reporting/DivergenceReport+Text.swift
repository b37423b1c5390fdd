// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import CallTree
import Formatting
import LogFormat

extension DivergenceReport {
    /// The report as text for a terminal or a bug report.
    public func text(color: Bool) -> String {
        var page = TextPage(color: color)
        writeHead(&page)
        if let divergence = alignment.divergence {
            writePositions(divergence, &page)
            writeFields(divergence, &page)
            writeCommon(divergence, &page)
            writeNext(divergence, &page)
            writeConvergence(divergence, &page)
            writeStack(divergence, &page)
            writeInput(divergence, &page)
            writeFirsts(divergence, &page)
        }
        writeOtherVCPUs(&page)
        writeCaveats(&page)
        writeCommands(&page)
        return page.text
    }

    // MARK: The head

    private func writeHead(_ page: inout TextPage) {
        let isGood = alignment.verdict == .identical
        page.line(page.styled(alignment.verdict.title, isGood ? .green : .red))
        if !sentence.isEmpty { page.prose(sentence) }
    }

    /// `brctr 1234, icount 5678`.
    private func position(_ position: RunPosition, _ divergence: Divergence) -> String {
        var text = "brctr \(position.clock)"
        if let difference = divergence.difference, !difference.isExact {
            let last = difference.clocks.upperBound &- 1 &+ (position.clock &- difference.clocks.lowerBound)
            if last != position.clock { text += " to \(last)" }
        }
        if let icount = position.icount { text += ", icount \(icount)" }
        return text
    }

    private func writePositions(_ divergence: Divergence, _ page: inout TextPage) {
        page.heading(alignment.vcpus.count > 1 ? "where (vCPU \(divergence.vcpu))" : "where")
        for side in Side.allCases {
            let place = side == .original ? divergence.original : divergence.replay
            page.line("  \(side.padded)  \(position(place, divergence))")
            guard let ip = place.ip else { continue }
            let source = places.source(ip, side).map { "  \($0)" } ?? ""
            page.line("            \(places.text(ip, side))\(source)")
            for line in places.chain(ip, side) { page.line("              \(line)") }
        }
    }

    private func writeFields(_ divergence: Divergence, _ page: inout TextPage) {
        guard let difference = divergence.difference, !difference.fields.isEmpty else { return }
        page.heading("difference (original != replay)")
        let width = difference.fields.map(\.name.count).max() ?? 0
        for field in difference.fields {
            let name = field.name.padding(to: width)
            let line = "  \(name)  \(value(field.original, .original)) != \(value(field.replay, .replay))"
            if line.count <= TextPage.width {
                page.line(line)
            } else {
                page.line("  \(name)  \(value(field.original, .original))")
                page.line("  \(" ".padding(to: width))  != \(value(field.replay, .replay))")
            }
        }
    }

    private func value(_ value: FieldDifference.Value, _ side: Side) -> String {
        if case .address(let address) = value { return places.text(address, side) }
        return value.text.onOneLine
    }

    // MARK: What happened around

    private func writeCommon(_ divergence: Divergence, _ page: inout TextPage) {
        let context = divergence.context
        page.heading("last common events")
        writeEvents(context.lastEvents, .original, &page)
        if alignment.comparability.features.contains(.branches) {
            page.heading("last common branches")
            writeBranches(context.lastBranches, .original, &page)
        }
    }

    private func writeNext(_ divergence: Divergence, _ page: inout TextPage) {
        for side in Side.allCases {
            let next = side == .original ? divergence.context.original : divergence.context.replay
            page.heading("then the \(side.rawValue)")
            if next.nextBranches.isEmpty, next.nextEvents.isEmpty {
                page.line(isCut(divergence) ? "  not kept in the log" : "  ends")
                continue
            }
            writeMerged(next, side, &page)
        }
    }

    /// Events and branches in the order in which they happened.
    private func writeMerged(_ context: DivergenceContext.SideContext, _ side: Side, _ page: inout TextPage) {
        var branches = context.nextBranches[...]
        let lastClock = branches.last?.clock ?? .max
        var later: [Event] = []
        for event in context.nextEvents {
            if !branches.isEmpty || context.nextBranches.isEmpty, event.clock <= lastClock {
                let before = branches.prefix { $0.clock < event.clock }
                writeBranches(Array(before), side, &page)
                branches = branches.dropFirst(before.count)
                page.line(row(event, side))
            } else {
                later.append(event)
            }
        }
        writeBranches(Array(branches), side, &page)
        if let next = later.first {
            page.line("  …")
            page.line(row(next, side))
        }
    }

    private func writeEvents(_ events: [Event], _ side: Side, _ page: inout TextPage) {
        if events.isEmpty { page.line("  none") }
        for event in events { page.line(row(event, side)) }
    }

    /// Branches, one a line; one that is repeated stands there once.
    private func writeBranches(_ branches: [Branch], _ side: Side, _ page: inout TextPage) {
        var index = 0
        while index < branches.count {
            let branch = branches[index]
            var count = 1
            while index + count < branches.count, branches[index + count].isRepetition(of: branch) { count += 1 }
            page.line(row(branch, side) + (count > 1 ? "  ×\(count)" : ""))
            if let source = places.source(branch.from, side) {
                let target = places.source(branch.to, side)
                let isOther = target != nil && target != source
                page.line(
                    String(repeating: " ", count: 14)
                        + page.styled(source + (isOther ? " -> \(target ?? "")" : ""), .dim))
            }
            index += count
        }
        if branches.isEmpty, index == 0, side == .original, alignment.divergence?.context.lastBranches.isEmpty == true {
            page.line(alignment.divergence.map(isCut) == true ? "  not kept in the log" : "  none")
        }
    }

    /// The branches around the divergence are not in both logs.
    private func isCut(_ divergence: Divergence) -> Bool { divergence.difference?.isExact == false }

    private func row(_ branch: Branch, _ side: Side) -> String {
        "  \(String(branch.clock).leftPadding(to: 10))  \(places.text(branch.from, side)) -> "
            + "\(places.text(branch.to, side))  \(branch.label.name)\(branch.label.isDiscontinuity ? " *" : "")"
    }

    private func row(_ event: Event, _ side: Side) -> String {
        var text = "  \(String(event.clock).leftPadding(to: 10))  \(event.kind.name)"
        if event.validity.contains(.ip) { text += " at \(places.text(event.ip, side))" }
        let details = event.details { places.name($0, side) }
        if !details.isEmpty { text += ": \(details.onOneLine)" }
        if event.validity.contains(.icount) { text += "  icount \(event.icount)" }
        return text
    }

    private func writeConvergence(_ divergence: Divergence, _ page: inout TextPage) {
        guard let convergence = divergence.context.convergence else {
            if divergence.difference?.isExact == true, alignment.comparability.features.contains(.branches) {
                page.heading("afterwards")
                let count = divergence.context.branchesSearched
                page.prose(
                    count < 32
                        ? "too few branches follow to say whether the runs meet again"
                        : "within \(Words.count(count, "branch", "branches")) the runs do not meet again")
            }
            return
        }
        page.heading("afterwards")
        let (a, b) = (convergence.originalBranches, convergence.replayBranches)
        var text: String
        if a == 0, b == 0 {
            text = "the branches that follow are the same in both runs"
        } else if a == b {
            text = "\(Words.count(a, "branch", "branches")) differ, then the runs agree again"
        } else {
            text =
                "after \(Words.count(a, "branch", "branches")) of the original and \(RowText.grouped(b)) of the replay "
                + "the runs agree again"
        }
        text += " for \(convergence.isOpenEnded ? "at least " : "")"
        text += Words.count(convergence.agreed, "branch", "branches")
        page.prose(text)
    }

    private func writeStack(_ divergence: Divergence, _ page: inout TextPage) {
        let stack = divergence.context.original.stack
        guard alignment.comparability.features.contains(.branches), stack.branchesSeen > 0 else { return }
        page.heading(
            "call stack, both runs, rebuilt from the last \(Words.count(stack.branchesSeen, "branch", "branches"))")
        for (number, frame) in stack.frames.reversed().prefix(24).enumerated() {
            writeFrame(number, frame, &page)
        }
        let hidden = stack.frames.count - 24
        if hidden > 0 { page.line("  … \(Words.count(UInt64(hidden), "more frame"))") }
        if stack.frames.isEmpty { page.line("  no call of these branches is open") }
    }

    private func writeFrame(_ number: Int, _ frame: CallFrame, _ page: inout TextPage) {
        let how =
            switch frame.kind {
            case .call: "called from"
            case .systemCall, .softwareInterrupt: "entered from"
            case .start: "begun from"
            case .interruption: "interrupted at"
            }
        let source = places.source(frame.callSite, .original).map { "  \($0)" } ?? ""
        page.line("  #\(number)  \(places.text(frame.target, .original))")
        page.line("      \(how) \(places.text(frame.callSite, .original))\(source), brctr \(frame.clock)")
    }

    private func writeInput(_ divergence: Divergence, _ page: inout TextPage) {
        page.heading("input consumed last before the divergence")
        page.line(divergence.context.lastInput.map { row($0, .original) } ?? "  none is recorded")
    }

    // MARK: The rest

    private func writeFirsts(_ divergence: Divergence, _ page: inout TextPage) {
        guard let vcpu = alignment.vcpus.first(where: { $0.vcpu == divergence.vcpu }) else { return }
        page.heading("first difference by class")
        for differenceClass in FirstDifference.Class.allCases {
            let first = vcpu[differenceClass]
            let isAlways = [.path, .event, .payload, .state].contains(differenceClass)
            guard isAlways || first != nil else { continue }
            let name = differenceClass.rawValue.padding(to: 18)
            page.line("  \(name)\(first.map(place) ?? (isSeen(differenceClass) ? "none" : "not recorded"))")
        }
    }

    private func place(_ first: FirstDifference) -> String {
        if first.isExact || first.clocks.count <= 1 { return "brctr \(first.clock)" }
        return "between brctr \(first.clock) and \(first.clocks.upperBound - 1)"
    }

    /// Whether both logs show differences of the class.
    private func isSeen(_ differenceClass: FirstDifference.Class) -> Bool {
        let features = alignment.comparability.features
        return switch differenceClass {
        case .path: features.contains(.branches)
        case .state: features.contains(.state) || features.contains(.stateMemory)
        default: true
        }
    }

    private func writeOtherVCPUs(_ page: inout TextPage) {
        let others = alignment.vcpus.filter { $0.vcpu != alignment.vcpu && $0.divergence != nil }
        guard !others.isEmpty else { return }
        page.heading("other vCPUs")
        for other in others {
            let clock = other.divergence?.original.clock ?? 0
            page.line("  vCPU \(other.vcpu): \(other.verdict.title) at brctr \(clock)")
        }
    }

    private func writeCaveats(_ page: inout TextPage) {
        guard !alignment.caveats.isEmpty else { return }
        page.heading("to be known")
        for caveat in alignment.caveats {
            let side = caveat.side.map { "\($0.rawValue): " } ?? ""
            page.prose("- \(side)\(caveat.text.onOneLine)", indent: 2, hanging: 4)
        }
    }

    private func writeCommands(_ page: inout TextPage) {
        let commands = nextCommands
        guard !commands.isEmpty else { return }
        page.heading("look closer")
        for (purpose, command) in commands {
            page.line(page.styled("  # \(purpose)", .dim))
            page.line("  \(command)")
        }
    }
}

extension Side {
    fileprivate var padded: String { rawValue.padding(to: 8) }
}

extension Branch {
    /// The same branch at another time.
    fileprivate func isRepetition(of other: Branch) -> Bool {
        from == other.from && to == other.to && label == other.label
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }

    fileprivate func leftPadding(to width: Int) -> String {
        String(repeating: " ", count: Swift.max(0, width - count)) + self
    }
}
