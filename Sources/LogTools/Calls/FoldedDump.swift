// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import Symbolize
import ToolSupport

/// Prints what was spent in each stack of calls, as flamegraph.pl, inferno and speedscope read it:
///
///     text   main;work;sort 1234
///     jsonl  {"stack":["main","work","sort"],"count":"1234"}
///
/// Counted are instructions, or branches where a log has no instruction counts. `[unknown]` is what ran outside of all
/// calls that were seen. All vCPUs are put together.
public struct FoldedDump: CallDump, ~Copyable {
    private var follower = CallFollower()
    private var folded = FoldedStacks()
    private var names = FunctionNames(nil)
    private var log: LogFile?
    private var format = RowFormat.text
    private var hasIcount = false
    private var end: (clock: UInt64, epoch: UInt32)?

    public init() {}

    public mutating func begin(_ log: LogFile, _ symbolizer: Symbolizer?, format: RowFormat) {
        self.log = log
        self.format = format
        names = FunctionNames(symbolizer)
        hasIcount = log.header.features.contains(.icount)
    }

    public mutating func begin(vcpu: UInt16) {
        if let log { follower.begin(log, vcpu: vcpu) }
        folded.begin(at: 0)
        end = nil
    }

    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        let hasIcount = hasIcount
        let clock = batch.clockFirst &+ UInt64(range.lowerBound)
        if end?.clock != clock || end?.epoch != batch.epoch {
            folded.skip(to: hasIcount ? batch.icount[range.lowerBound] : clock)
        }
        end = (batch.clockFirst &+ UInt64(range.upperBound), batch.epoch)
        follower.add(batch, range, names: &names) { step, names in
            folded.take(
                step, function: names.entry(of: step.frame.target), at: hasIcount ? step.icount : step.clock &+ 1)
        }
        folded.end(at: hasIcount ? batch.icount[range.upperBound - 1] : batch.clockFirst &+ UInt64(range.upperBound))
    }

    public mutating func end(vcpu: UInt16) { Diagnostics.note(follower.statistics.summary) }

    public mutating func finish() {
        var texts: [UInt64: String] = [:]
        let (isText, names) = (format == .text, names)
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
                Output.standard.line("\(stack.joined(separator: ";")) \(count)")
            } else {
                Output.standard.line(
                    "{\"stack\":[\(stack.map(RowText.json).joined(separator: ","))],\"count\":\"\(count)\"}")
            }
        }
    }

    /// Separators of the format cannot stand in names.
    private static func plain(_ name: String) -> String {
        String(name.map { $0 == ";" || $0.isNewline ? ":" : $0 })
    }
}
