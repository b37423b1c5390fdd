// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat
import Zoom

extension DivergenceDocument {
    /// Makes the document of an alignment.
    ///
    /// - Parameters:
    ///   - alignment: The result of ``Alignment/align(_:_:options:progress:)`` for the two logs.
    ///   - original: The recording.
    ///   - replay: The run that was compared with it.
    ///   - content: What the document has in addition.
    public init(
        _ alignment: AlignmentResult, original: ReportedRun, replay: ReportedRun,
        content: DocumentContent = DocumentContent()
    ) {
        self = DocumentMaker(alignment: alignment, original: original, replay: replay, content: content).document
    }
}

/// What a document has in addition to the result of a comparison.
public struct DocumentContent {
    /// Whether it has what a report in a file shows: settings, both runs over the branch counter, the calls after the
    /// divergence, and the consoles.
    public var hasDetails: Bool
    /// The source files; nil for a document without source lines.
    public var sources: SourceTree?
    /// What running both sides again has shown; nil if they were not run again.
    public var zoom: ZoomResult?

    /// Nothing in addition.
    public init(hasDetails: Bool = false, sources: SourceTree? = nil, zoom: ZoomResult? = nil) {
        self.hasDetails = hasDetails
        self.sources = sources
        self.zoom = zoom
    }
}

/// Makes documents. The part about a divergence is in DocumentMaker+Divergence.swift.
struct DocumentMaker {
    let alignment: AlignmentResult
    let original: ReportedRun
    let replay: ReportedRun
    let content: DocumentContent

    func run(_ side: Side) -> ReportedRun {
        switch side {
        case .original: original
        case .replay: replay
        }
    }

    func names(_ side: Side) -> Names { Names(symbolizer: run(side).symbolizer) }

    var document: DivergenceDocument {
        var document = comparison
        if let zoom = content.zoom { document.add(zoom, original: original, replay: replay) }
        if content.hasDetails { addDetails(to: &document) }
        return document
    }

    private var comparison: DivergenceDocument {
        DivergenceDocument(
            verdict: alignment.verdict.kind, title: alignment.verdict.title, detail: detail, moved: moved,
            exitStatus: alignment.verdict.exitStatus,
            summary: Summary(alignment: alignment, original: original, replay: replay).text, reasons: reasons,
            original: item(original), replay: item(replay), features: alignment.comparability.features.names,
            clockUnit: DivergenceDocument.ClockUnit(original.log.header.clock), vcpu: alignment.vcpu,
            vcpus: alignment.vcpus.map(item), caveats: alignment.caveats.map(item),
            benign: alignment.statistics.benign.mapValues(Counter.init(_:)),
            statistics: DivergenceDocument.Statistics(
                bytesRead: Counter(alignment.statistics.bytesRead),
                chunksByDigest: Counter(alignment.statistics.chunksByDigest),
                chunksDecoded: Counter(alignment.statistics.chunksDecoded)),
            commands: alignment.divergence.map(nextSteps) ?? [])
    }

    private var detail: ControlFlowDifference? {
        if case .controlFlow(let what) = alignment.verdict { what } else { nil }
    }

    private var reasons: [String]? {
        if case .notComparable(let reasons) = alignment.verdict { reasons } else { nil }
    }

    private var moved: DivergenceDocument.Movement? {
        guard case .movedEvent(let transitions, let instructions) = alignment.verdict else { return nil }
        return DivergenceDocument.Movement(
            transitions: Distance(transitions), instructions: instructions.map(Distance.init(_:)))
    }

    private func item(_ run: ReportedRun) -> DivergenceDocument.Run {
        let header = run.log.header
        return DivergenceDocument.Run(
            path: run.log.path, recordingUUID: header.uuid.isKnown ? header.uuid.description : nil,
            run: "\(header.runKind)", recorder: header.recorderName, isClosed: run.log.completeness == .closed,
            directory: run.directory, symbolFiles: run.symbolFiles)
    }

    private func item(_ vcpu: VCPUAlignment) -> DivergenceDocument.VCPU {
        var firsts: [String: DivergenceDocument.First] = [:]
        for first in vcpu.firsts {
            firsts[first.differenceClass.rawValue] = DivergenceDocument.First(
                from: Counter(first.clocks.lowerBound), to: Counter(first.clocks.upperBound), isExact: first.isExact)
        }
        return DivergenceDocument.VCPU(
            vcpu: vcpu.vcpu, verdict: vcpu.verdict.kind, title: vcpu.verdict.title,
            comparedFrom: Counter(vcpu.compared.lowerBound), comparedTo: Counter(vcpu.compared.upperBound),
            branchesCompared: Counter(vcpu.branchesCompared), eventsCompared: Counter(vcpu.eventsCompared),
            firsts: firsts, divergence: vcpu.divergence.map(item))
    }

    private func item(_ caveat: Caveat) -> DivergenceDocument.CaveatItem {
        DivergenceDocument.CaveatItem(
            kind: caveat.kind, side: caveat.side, vcpu: caveat.vcpu,
            from: caveat.clocks.map { Counter($0.lowerBound) }, to: caveat.clocks.map { Counter($0.upperBound) },
            text: caveat.text)
    }

    /// The steps with which a reader can learn more about a divergence.
    private func nextSteps(_ divergence: Divergence) -> [DivergenceDocument.NextStep] {
        let clock = divergence.difference?.clock ?? divergence.original.clock
        let isXen = DivergenceDocument.ClockUnit(original.log.header.clock) == .exits
        let (action, what): (DivergenceDocument.NextStep.Action, String) =
            isXen ? (.listEvents, "events") : (.listBranches, "branches")
        var steps = [
            DivergenceDocument.NextStep(
                action: action, purpose: "the original's \(what)", side: .original, path: original.log.path,
                brctr: Counter(clock)),
            DivergenceDocument.NextStep(
                action: action, purpose: "the replay's \(what)", side: .replay, path: replay.log.path,
                brctr: Counter(clock &+ divergence.clockSkew)),
        ]
        if isXen {
            guard let directory = original.directory else { return steps }
            steps.append(
                DivergenceDocument.NextStep(
                    action: .pauseReplay, purpose: "a replay that is paused there, for xenctx and xl dump-core",
                    side: .original, path: directory, brctr: Counter(clock)))
        } else if let directory = original.directory, let ip = divergence.replay.ip ?? divergence.original.ip {
            steps.append(
                DivergenceDocument.NextStep(
                    action: .replayForDebugger, purpose: "a replay that waits for a debugger", side: .original,
                    path: directory))
            steps.append(
                DivergenceDocument.NextStep(
                    action: .attachDebugger, purpose: "the debugger, stopped each time that instruction is reached",
                    side: .replay, path: directory, address: HexWord(ip)))
        }
        return steps
    }
}
