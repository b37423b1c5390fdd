// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import LogFormat
import LogViews
import ToolSupport

struct Events: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Print the events of a log.",
        discussion: """
            Prints one event a row: the branch counter that it precedes, the instruction count, the kind, the \
            instruction, and the details. Without --stream, the events of the event stream are printed or, with --kind, \
            those of the streams that have these kinds. Without --symbols, addresses are named after the kernel in the \
            run's manifest, if that file has not changed.

            EXAMPLES
              tt-analyze events --symbols vmlinux --around 533717582:100 run1
              tt-analyze events --kind port-read --kind port-write --range 0:100000 run1
              tt-analyze events --stream all --format jsonl run1
              tt-analyze events --kind interrupt --range 90%: run1
              tt-analyze events --at-console-line "$(grep 'missed event' xen-console.log)" run1

            A recorder that does not see interrupts and exceptions (QEMU 7.2) logs discontinuities. If the log is in its \
            run directory, the join with the run's input log gives their causes: they take the place of the \
            discontinuities, and are marked as joined.

            EXIT STATUS
              0 done
              1 with --leftovers: the join leaves something unexplained
              2 trouble: the log cannot be read or is damaged
            """)

    /// The streams that hold events.
    enum Streams: String, ExpressibleByArgument, CaseIterable {
        case event, access, meta, all

        var streams: [LogStream] {
            switch self {
            case .event: [.event]
            case .access: [.access]
            case .meta: [.meta]
            case .all: [.event, .access, .meta]
            }
        }
    }

    @Argument(
        help: ArgumentHelp("A log or a run directory.", valueName: "log"), completion: .file())
    var path: String

    @OptionGroup var range: RangeOptions

    @Option(
        help: ArgumentHelp(
            "Only positions around the event of this line of XenTT's console, \"Replay missed event: …\", up to where the "
                + "replay noticed.",
            valueName: "line"))
    var atConsoleLine: String?

    @Option(
        name: .customLong("kind"),
        help: ArgumentHelp("Only events of this kind; may be repeated.", valueName: "kind"))
    var kinds: [EventKind] = []

    @Option(name: .customLong("stream"), help: "Only this stream; may be repeated.")
    var streams: [Streams] = []

    @Option(help: ArgumentHelp("Only this vCPU. (default: all, one after the other)", valueName: "n"))
    var vcpu: UInt16?

    @Flag(help: "Print discontinuities as they are in the log, without their causes from the run's input log.")
    var noCauses = false

    @Flag(help: "Print what the join with the run's input log does not explain, with a reason each, and nothing else.")
    var leftovers = false

    @OptionGroup var symbols: SymbolOptions

    @OptionGroup var folding: FoldOptions

    @Option(help: "Format of the rows. The fields of jsonl and csv are stable.")
    var format = RowFormat.text

    func validate() throws {
        if atConsoleLine != nil, range.isGiven {
            throw ValidationError("--at-console-line and --range or --around exclude each other.")
        }
        if folding.fold == true && format != .text { throw ValidationError("--fold is valid with --format text only.") }
    }

    func run() throws {
        var health = LogHealth(report: Diagnostics.report)
        let log = try health.open(path)
        if let vcpu, !log.vcpus.contains(vcpu) {
            throw ViewError.noVCPU(path: log.path, vcpu: vcpu, present: log.vcpus)
        }
        if leftovers { return try printLeftovers(log) }
        let wanted = Set(kinds)
        let chosen = chosenStreams
        let bounds = try self.bounds()
        let (from, to) = bounds.resolved(in: log.clocks)
        let symbolizer = try symbols.symbolizer(
            for: log, orKernelOf: [path], from: from, to: to, reading: .onDemand())
        defer { SymbolOptions.finish(symbolizer) }
        let causes = chosen.contains(.event) ? self.causes(of: log) : []
        var rows = EventRows(log, to: Output.standard, format: format, symbolizer: symbolizer, folds: folding.isOn)
        rows.begin(log: log)
        var count = 0
        func write(_ streams: [LogStream], vcpu: UInt16) {
            let clocks = vcpu == noVCPU ? log.clocks : log.clocks(vcpu: vcpu)
            let (from, to) = bounds.resolved(in: clocks)
            var events = EventsWithCauses(
                log.events(streams, vcpu: vcpu, from: from, to: to), causes: vcpu == 0 ? causes : [], from: from,
                to: to, keepsDiscontinuities: wanted.contains(.discontinuity))
            while !rows.isClosed, let event = events.next() {
                guard wanted.isEmpty || wanted.contains(event.kind) else { continue }
                rows.write(event)
                count += 1
            }
            health.add(events.skipped)
        }
        let compared = chosen.filter { $0 != .meta }
        if !compared.isEmpty {
            for vcpu in vcpu.map({ [$0] }) ?? log.vcpus { write(compared, vcpu: vcpu) }
        }
        if chosen.contains(.meta) { write([.meta], vcpu: noVCPU) }
        rows.finish()
        try health.finish()
        if count == 0 { reportNothing(log) }
    }

    /// The part of the log that the options name.
    private func bounds() throws -> ClockBounds {
        guard let atConsoleLine else { return range.bounds }
        guard let line = MissedEventLine(atConsoleLine) else {
            throw RuntimeError(
                "--at-console-line: \(atConsoleLine.onOneLine): expected "
                    + "\"Replay missed event: … now (brctr:N, ip:0xN), event (brctr:N, ip:0xN)\"")
        }
        func words(_ place: MissedEventLine.Place) -> String {
            "brctr \(place.brctr)" + (place.ip.map { ", ip \(RowText.hex($0))" } ?? "")
        }
        Diagnostics.note(
            "the replay missed \(line.event.isEmpty ? "an event" : line.event.onOneLine) at \(words(line.expected)), "
                + "and noticed at \(words(line.now))")
        let low = min(line.expected.brctr, line.now.brctr)
        let high = max(line.expected.brctr, line.now.brctr)
        let radius = Events.consoleLineRadius
        return ClockBounds(from: .at(low - min(low, radius)), to: high < .max - radius ? .at(high + radius + 1) : nil)
    }

    /// The branches that are shown on both sides of a console line's positions.
    private static let consoleLineRadius: UInt64 = 20

    /// The kinds of joined events.
    private static let causeKinds = Set(JoinedCauseKind.allCases.map(\.eventKind))

    /// The joined causes of the log's discontinuities; none if the log has causes itself, if none is wanted, or if the run
    /// has no input log that can be joined.
    private func causes(of log: LogFile) -> [Event] {
        guard !noCauses, !log.header.features.contains(.causes), log.header.features.contains(.icount),
            kinds.isEmpty || kinds.contains(where: Events.causeKinds.contains),
            let inputLog = RunOfLog.inputLog(ofLog: path)
        else { return [] }
        do {
            let join = try self.join(log, inputLog)
            let count = join.transitionsWithoutEvent + join.eventsWithoutTransition
            if count > 0 {
                Diagnostics.warning("the join of \(log.path) with its input log leaves \(count) over: see --leftovers")
            }
            return join.events
        } catch {
            Diagnostics.warning("\(error); discontinuities are printed without causes")
            return []
        }
    }

    private func join(_ log: LogFile, _ inputLog: String) throws(LogError) -> ReplayJoin {
        let progress = Progress("joining causes", unit: "B", total: log.fileSize)
        defer { progress.finish() }
        return try ReplayJoin.join(log, with: QEMUReplayLog(path: inputLog)) { progress.update(fraction: $0) }
    }

    private func printLeftovers(_ log: LogFile) throws {
        guard let inputLog = RunOfLog.inputLog(ofLog: path) else {
            throw RuntimeError("\(log.path): its run has no input log (replay.bin) to join with")
        }
        let text = LeftoverText(try join(log, inputLog), to: Output.standard)
        text.write()
        if text.count > 0 { throw ToolStatus.different.exitCode }
    }

    /// Reports that nothing was selected, with the range of the log's events.
    private func reportNothing(_ log: LogFile) {
        let kinds = LogSummary(log).kinds.sorted { $0.key.rawValue < $1.key.rawValue }
        let held = kinds.isEmpty ? "no events" : kinds.map { "\($0.value) \($0.key.name)" }.joined(separator: ", ")
        let clocks = log.clocks
        Diagnostics.note(
            "\(log.path): no event is selected; it holds \(held), at \(clocks.lowerBound):\(clocks.upperBound)")
    }

    private var chosenStreams: [LogStream] {
        var chosen = Set(streams.flatMap(\.streams))
        if chosen.isEmpty { chosen = Set(kinds.map(\.usualStream)) }
        return chosen.isEmpty ? [.event] : chosen.sorted { $0.rawValue < $1.rawValue }
    }
}
