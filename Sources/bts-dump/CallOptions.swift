// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import LogFormat
import LogTools
import ToolSupport

/// `--calls`, `--folded`.
struct CallOptions: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Print the tree of calls with interrupts and system calls, each where it was entered (not as csv)."))
    var calls = false

    @Flag(
        help: ArgumentHelp(
            "Print each stack of calls and the instructions spent in it, for flamegraph.pl (not as csv); branches where "
                + "the log counts no instructions."))
    var folded = false

    @Option(help: ArgumentHelp("With --calls: leave out what is called inside N open calls.", valueName: "n"))
    var depth: Int?

    var isChosen: Bool { calls || folded }

    func validate() throws {
        if calls && folded { throw ValidationError("--calls and --folded exclude each other.") }
        if depth != nil && !calls { throw ValidationError("--depth goes with --calls.") }
        if let depth, depth < 1 { throw ValidationError("--depth must be at least 1.") }
    }
}

extension BTSDump {
    /// Prints calls instead of branches.
    func dumpCalls(_ log: LogFile, _ health: inout LogHealth) throws {
        guard format != .csv else { throw RuntimeError("--calls and --folded have no format csv") }
        guard log.header.features.contains(.labels) else {
            throw RuntimeError("\(log.path): has no classes of branches, which calls are told by")
        }
        if calls.calls {
            try dump(CallTreeDump(depthLimit: calls.depth), log, &health)
        } else {
            try dump(FoldedDump(), log, &health)
        }
    }

    private func dump<Dump: CallDump & ~Copyable>(
        _ dump: consuming Dump, _ log: LogFile, _ health: inout LogHealth
    ) throws {
        let (from, to) = range.bounds
        dump.begin(log, try symbols.symbolizer(for: log, from: from, to: to), format: format)
        let vcpus = vcpu.map { [$0] } ?? log.vcpus
        let chunks = vcpus.flatMap { log.chunks(.branch, vcpu: $0) }
        let progress = Progress(
            "following calls", unit: "branches", total: chunks.reduce(0) { $0 &+ UInt64($1.count) },
            isQuiet: Output.standard.isTerminal)
        var done: UInt64 = 0
        for vcpu in vcpus {
            dump.begin(vcpu: vcpu)
            var branches = log.branches(vcpu: vcpu, from: from, to: to)
            while branches.nextBatch({
                dump.add($0, $1)
                done &+= UInt64($1.count)
                progress.update(done)
            }) {}
            dump.end(vcpu: vcpu)
            health.add(branches.skipped)
        }
        progress.finish()
        dump.finish()
        try health.finish()
        if done == 0 && health.elidedRecords > 0 { throw ToolStatus.trouble.exitCode }
    }
}
