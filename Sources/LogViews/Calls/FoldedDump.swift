// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import Formatting
import LogFormat
import Symbolize

/// Writes the cost of each stack of calls, as flamegraph.pl, inferno and speedscope read it:
///
///     text   main;work;sort 1234
///     jsonl  {"stack":["main","work","sort"],"count":"1234"}
///
/// The counts are instructions, or branches if an input has no instruction counts. `[unknown]` is what ran outside of all
/// calls that were seen. All vCPUs and inputs are counted together.
public struct FoldedDump: BranchView, ~Copyable {
    /// The name and version of the rows.
    public static let schema = RowSchema("bts-dump folded", version: 1)

    private var follower = CallFollower()
    private var folded = FoldedStacks()
    private var names: FunctionNames
    private let output: ViewOutput
    private var rows: RowEncoder
    private var paths: [String] = []
    private let hasIcount: Bool
    private var log: LogFile?
    private var end: (clock: UInt64, epoch: UInt32)?

    /// - Parameters:
    ///   - output: Receives the rows, and a summary of each vCPU's calls.
    ///   - format: Text or jsonl.
    ///   - symbolizer: Names functions; `nil`: addresses only, and no tail calls.
    ///   - hasIcount: Whether instructions are counted, which all inputs must have; otherwise branches are.
    public init(to output: ViewOutput, format: RowFormat, symbolizer: Symbolizer?, hasIcount: Bool) {
        self.output = output
        rows = RowEncoder(to: output.sink, format: format)
        self.hasIcount = hasIcount
        names = FunctionNames(symbolizer)
    }

    /// Begins the branches of an input.
    public mutating func begin(_ input: ViewInput) {
        log = input.log
        paths.append(input.path)
    }

    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) {
        follower.begin(log, vcpu: vcpu)
        folded.begin(at: 0)
        end = nil
    }

    /// Takes selected branches.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) { follow(batch, range, counts: true) }

    /// Takes branches that are not selected.
    public mutating func pass(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        follow(batch, range, counts: false)
    }

    private mutating func follow(_ batch: borrowing BranchBatch, _ range: Range<Int>, counts: Bool) {
        let hasIcount = hasIcount
        let clock = batch.clockFirst &+ UInt64(range.lowerBound)
        if end?.clock != clock || end?.epoch != batch.epoch {
            folded.skip(to: hasIcount ? batch.icount[range.lowerBound] : clock)
        }
        end = (batch.clockFirst &+ UInt64(range.upperBound), batch.epoch)
        follower.add(batch, range, names: &names) { step, names in
            let position = hasIcount ? step.icount : step.clock &+ 1
            if !counts { folded.skip(to: position) }
            folded.take(step, function: names.entry(of: step.frame.target), at: position)
        }
        let last = hasIcount ? batch.icount[range.upperBound - 1] : batch.clockFirst &+ UInt64(range.upperBound)
        if counts { folded.end(at: last) } else { folded.skip(to: last) }
    }

    /// Ends the branches of a vCPU.
    public mutating func end(vcpu: UInt16) { output.report(.note(follower.statistics.summary)) }

    /// Writes the rest to the sink.
    public mutating func finish() {
        var texts: [UInt64: String] = [:]
        let isText =
            switch rows.format {
            case .text: true
            case .jsonl, .csv: false
            }
        if !isText { rows.line(FoldedDump.schema.header(logs: paths)) }
        folded.visit { functions, count in
            let stack =
                functions.isEmpty
                ? ["[unknown]"]
                : functions.map { function in
                    if let known = texts[function] { return known }
                    let name = names.name(function) ?? RowText.hex(function)
                    let text = isText ? FoldedDump.plain(name) : name
                    texts[function] = text
                    return text
                }
            if isText {
                rows.line("\(stack.joined(separator: ";")) \(count)")
            } else {
                rows.begin()
                rows.strings("stack", stack, separator: ";")
                rows.counter("count", count)
                rows.end()
            }
        }
        rows.flush()
    }

    /// The name for a line of text: the separator of the format becomes a colon.
    private static func plain(_ name: String) -> String {
        String(String.UnicodeScalarView(name.onOneLine.unicodeScalars.map { $0 == ";" ? ":" : $0 }))
    }
}
