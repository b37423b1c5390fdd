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
        name: .customLong("kind"),
        help: ArgumentHelp("Only events of this kind; may be repeated.", valueName: "kind"))
    var kinds: [EventKind] = []

    @Option(name: .customLong("stream"), help: "Only this stream; may be repeated.")
    var streams: [Streams] = []

    @Option(help: ArgumentHelp("Only this vCPU. (default: all, one after the other)", valueName: "n"))
    var vcpu: UInt16?

    @OptionGroup var symbols: SymbolOptions

    @Option(help: "Format of the rows. The fields of jsonl and csv are stable.")
    var format = RowFormat.text

    func run() throws {
        var health = LogHealth(report: Diagnostics.report)
        let log = try health.open(path)
        if let vcpu, !log.vcpus.contains(vcpu) {
            throw ViewError.noVCPU(path: log.path, vcpu: vcpu, present: log.vcpus)
        }
        let wanted = Set(kinds)
        let chosen = chosenStreams
        let (from, to) = range.bounds.resolved(in: log.clocks)
        let symbolizer = try symbols.symbolizer(
            for: log, orKernelOf: [path], from: from, to: to, reading: .onDemand())
        defer { SymbolOptions.finish(symbolizer) }
        var rows = EventRows(log, to: Output.standard, format: format, symbolizer: symbolizer)
        rows.begin(log: log)
        var count = 0
        func write(_ streams: [LogStream], vcpu: UInt16) {
            let clocks = vcpu == noVCPU ? log.clocks : log.clocks(vcpu: vcpu)
            let (from, to) = range.bounds.resolved(in: clocks)
            var events = log.events(streams, vcpu: vcpu, from: from, to: to)
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

    /// Reports that nothing was selected, with what there is to select from.
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
