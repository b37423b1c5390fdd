// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import Symbolize

/// `bts-dump --coverage`: functions and lines that were reached and how often, all vCPUs and all inputs together.
///
///     lcov   a tracefile, as `lcov` and `genhtml` read it
///     text   a table of functions: how often entered, lines with code, lines reached, share, name, place
///     jsonl  {"kind":"function","name":"foo","file":"a.c","line":12,"count":"40","lines":5,"reached":4}
///            {"kind":"line","file":"a.c","line":13,"count":"1000"}
///     csv    kind,file,line,name,count,lines,reached
public struct CoverageDump: BranchView, ~Copyable {
    /// The name, version and columns of the rows.
    public static let schema = RowSchema(
        "bts-dump coverage", version: 1, columns: ["kind", "file", "line", "name", "count", "lines", "reached"])

    /// The form of the output.
    public enum Form: Sendable {
        /// An lcov tracefile.
        case lcov
        /// Rows of functions and, except in text, of lines.
        case rows(RowFormat)
    }

    private var stretches: StretchCounts
    private var paths: [String] = []
    private let symbolizer: Symbolizer
    private let machine: Machine?
    private let form: Form
    private let order: CountOrder
    private let output: ViewOutput

    /// - Parameters:
    ///   - machine: ELF `e_machine` of the run; `nil` accepts both kinds of x86.
    ///   - order: of the functions in the table and the other rows.
    ///   - limit: more distinct stretches than this are not counted.
    public init(
        _ symbolizer: Symbolizer, to output: ViewOutput, machine: Machine?, form: Form, order: CountOrder,
        limit: Int = 1 << 22
    ) {
        self.output = output
        self.symbolizer = symbolizer
        self.machine = machine
        self.form = form
        self.order = order
        stretches = StretchCounts(limit: limit)
    }

    /// Begins the branches of an input.
    public mutating func begin(_ input: ViewInput) { paths.append(input.path) }

    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) { stretches.begin() }

    /// Takes selected branches.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) { stretches.add(batch, range) }

    /// Takes branches that are not selected.
    public mutating func pass(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        stretches.add(batch, range, counts: false)
    }

    /// Ends the branches of a vCPU.
    public mutating func end(vcpu: UInt16) { stretches.end() }

    /// Writes everything. Throws ``ViewError/tooMany(what:limit:leftOut:)`` after it if there was more than can be counted.
    public mutating func finish() throws {
        let coverage = try Coverage(stretches, symbolizer, machine: machine)
        switch form {
        case .lcov: LcovWriter(output.sink).write(coverage)
        case .rows(let format):
            var rows = CoverageRows(to: output.sink, format: format, order: order)
            rows.write(coverage, logs: paths)
        }
        let (lines, functions) = (coverage.lineTotals, coverage.functionTotals)
        output.report(
            .note(
                "\(functions.reached) of \(functions.all) functions and \(lines.reached) of \(lines.all) lines were reached"
            ))
        if coverage.outside > 0 {
            output.report(
                .note(
                    "\(coverage.outside) of \(coverage.outside + coverage.counted + coverage.contradicted) stretches "
                        + "between branches ran where no symbol file has code"))
        }
        if coverage.contradicted > 0 {
            output.report(
                .warning(
                    "\(coverage.contradicted) stretches between branches contradict the files' code and are not counted"
                ))
        }
        if stretches.leftOut > 0 {
            throw ViewError.tooMany(
                what: "stretches", limit: stretches.limit, leftOut: UInt64(stretches.leftOut))
        }
    }
}
