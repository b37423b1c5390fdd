// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import CallTree
import Formatting
import FoundationEssentials
import LogFormat

extension DivergenceReport {
    /// The report as a JSON document, keys sorted.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    var document: DivergenceDocument {
        DivergenceDocument(
            verdict: alignment.verdict.name, detail: detail, exitStatus: alignment.verdict.exitStatus,
            summary: sentence, reasons: reasons, moved: moved, original: log(original), replay: log(replay),
            vcpu: alignment.vcpu, vcpus: alignment.vcpus.map(item), caveats: alignment.caveats.map(item),
            benign: alignment.statistics.benign.mapValues { "\($0)" },
            statistics: DivergenceDocument.Statistics(
                bytesRead: "\(alignment.statistics.bytesRead)",
                chunksByDigest: "\(alignment.statistics.chunksByDigest)",
                chunksDecoded: "\(alignment.statistics.chunksDecoded)"),
            commands: nextCommands.map { DivergenceDocument.Command(purpose: $0.purpose, command: $0.command) })
    }

    private var detail: String? {
        if case .controlFlow(let what) = alignment.verdict { what.rawValue } else { nil }
    }

    private var reasons: [String]? {
        if case .notComparable(let reasons) = alignment.verdict { reasons } else { nil }
    }

    private var moved: DivergenceDocument.Moved? {
        guard case .movedEvent(let transitions, let instructions) = alignment.verdict else { return nil }
        return DivergenceDocument.Moved(transitions: "\(transitions)", instructions: instructions.map { "\($0)" })
    }

    private func log(_ log: LogFile) -> DivergenceDocument.Log {
        let header = log.header
        return DivergenceDocument.Log(
            path: log.path, recordingUUID: header.uuid.isKnown ? header.uuid.description : nil,
            run: "\(header.runKind)", recorder: header.recorderName, isClosed: log.completeness == .closed)
    }

    private func item(_ vcpu: VCPUAlignment) -> DivergenceDocument.VCPU {
        var firsts: [String: DivergenceDocument.First] = [:]
        for first in vcpu.firsts {
            firsts[first.differenceClass.rawValue] = DivergenceDocument.First(
                from: "\(first.clocks.lowerBound)", to: "\(first.clocks.upperBound)", isExact: first.isExact)
        }
        return DivergenceDocument.VCPU(
            vcpu: vcpu.vcpu, verdict: vcpu.verdict.name, comparedFrom: "\(vcpu.compared.lowerBound)",
            comparedTo: "\(vcpu.compared.upperBound)", branchesCompared: "\(vcpu.branchesCompared)",
            eventsCompared: "\(vcpu.eventsCompared)", firsts: firsts, divergence: vcpu.divergence.map(item))
    }

    private func item(_ divergence: Divergence) -> DivergenceDocument.DivergenceItem {
        let context = divergence.context
        return DivergenceDocument.DivergenceItem(
            original: item(divergence.original, .original), replay: item(divergence.replay, .replay),
            fields: (divergence.difference?.fields ?? []).map { field in
                DivergenceDocument.Field(
                    name: field.name, original: field.original == .absent ? nil : field.original.text,
                    replay: field.replay == .absent ? nil : field.replay.text)
            },
            endReason: divergence.endReason,
            lastCommonBranches: context.lastBranches.map { item($0, .original) },
            lastCommonEvents: context.lastEvents.map { item($0, .original) },
            originalNext: item(context.original, .original), replayNext: item(context.replay, .replay),
            convergence: context.convergence.map { found in
                DivergenceDocument.ConvergenceItem(
                    originalBranches: "\(found.originalBranches)", replayBranches: "\(found.replayBranches)",
                    agreedBranches: "\(found.agreed)", isOpenEnded: found.isOpenEnded)
            },
            callStack: item(context.original.stack), lastInput: context.lastInput.map { item($0, .original) })
    }

    private func item(_ context: DivergenceContext.SideContext, _ side: Side) -> DivergenceDocument.Next {
        DivergenceDocument.Next(
            branches: context.nextBranches.map { item($0, side) }, events: context.nextEvents.map { item($0, side) })
    }

    private func item(_ position: RunPosition, _ side: Side) -> DivergenceDocument.Position {
        let found = position.ip.flatMap { places.symbol($0, side) }
        let frames = found?.frames.compactMap(\.place) ?? []
        return DivergenceDocument.Position(
            brctr: "\(position.clock)", icount: position.icount.map { "\($0)" }, ip: position.ip.map(RowText.hex),
            symbol: found?.label, source: frames.isEmpty ? nil : frames)
    }

    private func item(_ branch: Branch, _ side: Side) -> DivergenceDocument.BranchItem {
        let hasIcount = log(side).header.features.contains(.icount)
        return DivergenceDocument.BranchItem(
            brctr: "\(branch.clock)", icount: hasIcount ? "\(branch.icount)" : nil, from: RowText.hex(branch.from),
            to: RowText.hex(branch.to), label: branch.label.name, fromSymbol: places.symbol(branch.from, side)?.label,
            toSymbol: places.symbol(branch.to, side)?.label, source: places.symbol(branch.from, side)?.sourcePlace)
    }

    private func item(_ event: Event, _ side: Side) -> DivergenceDocument.EventItem {
        let ip = event.validity.contains(.ip) ? event.ip : nil
        return DivergenceDocument.EventItem(
            brctr: "\(event.clock)", icount: event.validity.contains(.icount) ? "\(event.icount)" : nil,
            stream: event.stream.name, kind: event.kind.name, ip: ip.map(RowText.hex),
            symbol: ip.flatMap { places.symbol($0, side)?.label }, info: event.info,
            address: event.address.map(RowText.hex), values: event.values.map(RowText.hex),
            details: event.details { places.name($0, side) })
    }

    private func item(_ stack: CallStack) -> DivergenceDocument.Stack {
        DivergenceDocument.Stack(
            branchesSeen: "\(stack.branchesSeen)",
            frames: stack.frames.reversed().map { frame in
                DivergenceDocument.Stack.Frame(
                    entry: DivergenceReport.entry(frame.kind), callSite: RowText.hex(frame.callSite),
                    callSiteSymbol: places.symbol(frame.callSite, .original)?.label,
                    target: RowText.hex(frame.target), targetSymbol: places.symbol(frame.target, .original)?.label,
                    brctr: "\(frame.clock)")
            })
    }

    private static func entry(_ kind: CallFrame.Kind) -> String {
        kind == .softwareInterrupt ? CallFrame.Kind.systemCall.name : kind.name
    }

    private func item(_ caveat: Caveat) -> DivergenceDocument.CaveatItem {
        DivergenceDocument.CaveatItem(
            kind: caveat.kind.rawValue, side: caveat.side?.rawValue, vcpu: caveat.vcpu,
            from: caveat.clocks.map { "\($0.lowerBound)" }, to: caveat.clocks.map { "\($0.upperBound)" },
            text: caveat.text)
    }
}
