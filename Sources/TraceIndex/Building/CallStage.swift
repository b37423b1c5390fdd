// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import Symbolize

/// Fills the table of calls: follows the open calls of each vCPU, and writes a row when one ends.
struct CallStage {
    private let log: LogFile
    private let database: Database
    private let symbolizer: Symbolizer?

    init(_ log: LogFile, _ database: Database, symbolizer: Symbolizer?) {
        self.log = log
        self.database = database
        self.symbolizer = symbolizer
    }

    func run(progress: (Double) -> Void) throws(SQLError) {
        var problems = ProblemCounts(.calls)
        var entries = FunctionEntries(symbolizer)
        var rows = try CallRows(database)
        let hasIcount = log.header.features.contains(.icount)
        let total = log.chunks.lazy.filter { $0.stream == .branch }.reduce(0) { $0 + $1.count }
        var done = 0
        for vcpu in log.vcpus {
            var tracker = CallTracker(handlers: HandlerSet(log, vcpu: vcpu))
            tracker.recordsSteps = true
            var calls = OpenCalls(vcpu: vcpu, hasIcount: hasIcount)
            var branches = log.branches(vcpu: vcpu)
            while branches.nextBatch({ batch, range in
                tracker.append(batch, range)
                for step in tracker.steps { calls.take(step, entries.entry(of: step.frame.target), &rows) }
                let last = range.upperBound - 1
                calls.reach(clock: batch.clockFirst &+ UInt64(last) &+ 1, icount: batch.icount[last])
                done += range.count
            }) {
                try rows.flush()
                progress(Double(done) / Double(max(total, 1)))
            }
            calls.end(&rows)
            try rows.flush()
            problems.add(.unreadableCalls, branches.skipped)
            for reason in Resynchronisation.allCases {
                problems.add(
                    .resynchronisation(reason), source: "vcpu \(vcpu)", count: tracker.statistics[reason])
            }
        }
        try problems.write(to: database)
        if let symbolizer {
            try PlaceCollector.name("SELECT DISTINCT function FROM _call", symbolizer, in: database)
        }
    }
}

/// Where the functions of addresses begin, each looked up once.
struct FunctionEntries {
    private let lookup: SymbolLookup?
    private var known: [UInt64: UInt64] = [:]
    /// The number of entries at which the cache is emptied: memory stays bounded for any log.
    private static let limit = 1 << 18

    init(_ symbolizer: Symbolizer?) { lookup = symbolizer?.symbolLookup }

    /// The first instruction of the function that an address is in; the address itself where that is not known.
    mutating func entry(of address: UInt64) -> UInt64 {
        guard let lookup else { return address }
        if let entry = known[address] { return entry }
        if known.count >= FunctionEntries.limit { known = [:] }
        let entry = lookup.symbol(lookup.find(address)).map { address &- $0.offset } ?? address
        known[address] = entry
        return entry
    }
}
