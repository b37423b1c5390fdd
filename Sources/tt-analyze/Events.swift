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
            One event a row: the branch counter before which it stands, the instruction count, the kind, the \
            instruction, and what happened. Events come as the recorder wrote them; nothing is joined with other \
            files. Without --stream, those of the event stream are printed or, with --kind, of the streams that \
            these kinds stand in.

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
        help: ArgumentHelp("A log, or a state directory that holds ttd.log.", valueName: "log"), completion: .file())
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

    @Option(help: "How rows are printed; jsonl and csv keep their fields from version to version.")
    var format = RowFormat.text

    func run() throws {
        var health = LogHealth(report: Diagnostics.report)
        let log = try health.open(path)
        if let vcpu, !log.vcpus.contains(vcpu) {
            throw ViewError.noVCPU(path: log.path, vcpu: vcpu, present: log.vcpus)
        }
        let wanted = Set(kinds)
        let chosen = chosenStreams
        let (from, to) = range.bounds
        let symbolizer = try symbols.symbolizer(for: log, from: from, to: to, reading: .onDemand())
        defer { SymbolOptions.finish(symbolizer) }
        var rows = EventRows(log, to: Output.standard, format: format, symbolizer: symbolizer)
        rows.begin(log: log)
        func print(_ streams: [LogStream], vcpu: UInt16) {
            var events = log.events(streams, vcpu: vcpu, from: from, to: to)
            while let event = events.next() {
                if wanted.isEmpty || wanted.contains(event.kind) { rows.write(event) }
            }
            health.add(events.skipped)
        }
        let compared = chosen.filter { $0 != .meta }
        if !compared.isEmpty {
            for vcpu in vcpu.map({ [$0] }) ?? log.vcpus { print(compared, vcpu: vcpu) }
        }
        if chosen.contains(.meta) { print([.meta], vcpu: noVCPU) }
        rows.finish()
        try health.finish()
    }

    private var chosenStreams: [LogStream] {
        var chosen = Set(streams.flatMap(\.streams))
        if chosen.isEmpty { chosen = Set(kinds.map(\.usualStream)) }
        return chosen.isEmpty ? [.event] : chosen.sorted { $0.rawValue < $1.rawValue }
    }
}
