// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import Symbolize

/// Fills the table of calls: follows the open calls of each vCPU, and writes a row for each.
struct CallStage {
    private let log: LogFile
    private let symbolizer: Symbolizer?
    private var problems = ProblemCounts(.calls)

    init(_ log: LogFile, symbolizer: Symbolizer?) {
        self.log = log
        self.symbolizer = symbolizer
    }

    /// Writes the rows and their indexes into the tables of a file that no connection has open. The tables are empty.
    ///
    /// - Parameters:
    ///   - target: the name that the file will have.
    ///   - progress: Takes the share that is done, 0 ... 1.
    mutating func load(into path: String, target: String, progress: (Double) -> Void) throws {
        let roots = try CallLoader.Roots(in: Database(path: path, .build))
        var entries = FunctionStarts(symbolizer)
        var rows = try CallLoader(path: path, target: target)
        let hasIcount = log.header.features.contains(.icount)
        let total = log.chunks.lazy.filter { $0.stream == .branch }.reduce(0) { $0 + $1.count }
        var done = 0
        for vcpu in log.vcpus {
            var tracker = CallTracker(handlers: HandlerSet(log, vcpu: vcpu))
            tracker.recordsSteps = true
            var calls = OpenCalls(vcpu: vcpu, hasIcount: hasIcount)
            var branches = log.branches(vcpu: vcpu)
            while try branches.nextBatch({ batch, range throws(IndexError) in
                tracker.append(batch, range)
                for step in tracker.steps { try calls.take(step, entries.entry(of: step.frame.target), &rows) }
                let last = range.upperBound - 1
                calls.reach(clock: batch.clockFirst &+ UInt64(last) &+ 1, icount: batch.icount[last])
                done += range.count
            }) {
                progress(Double(done) / Double(max(total, 1)))
            }
            try calls.end(&rows)
            problems.add(.unreadableCalls, branches.skipped)
            for reason in Resynchronisation.allCases {
                problems.add(
                    .resynchronisation(reason), source: "vcpu \(vcpu)", count: tracker.statistics[reason])
            }
        }
        try rows.finish(roots)
    }

    /// Writes the rest: the names of the functions, and the problems.
    func complete(_ database: Database) throws(SQLError) {
        try problems.write(to: database)
        guard let symbolizer else { return }
        // A step from one function to the next in the index, however many calls each has.
        let functions =
            "WITH RECURSIVE f(x) AS (SELECT min(function) FROM _call UNION ALL "
            + "SELECT (SELECT min(function) FROM _call WHERE function > x) FROM f WHERE x IS NOT NULL) "
            + "SELECT x FROM f WHERE x IS NOT NULL"
        try PlaceCollector.name(functions, symbolizer, in: database)
    }
}

/// Where the functions of addresses begin, each looked up once.
struct FunctionStarts {
    private let lookup: SymbolLookup?
    private var known: [UInt64: UInt64] = [:]
    /// The number of entries at which the cache is emptied: memory stays bounded for any log.
    private static let limit = 1 << 18

    init(_ symbolizer: Symbolizer?) { lookup = symbolizer?.symbolLookup }

    /// The first instruction of the function that an address is in; the address itself where that is not known.
    mutating func entry(of address: UInt64) -> UInt64 {
        guard let lookup else { return address }
        if let entry = known[address] { return entry }
        if known.count >= FunctionStarts.limit { known = [:] }
        let entry = lookup.symbol(lookup.find(address)).map { address &- $0.offset } ?? address
        known[address] = entry
        return entry
    }
}
