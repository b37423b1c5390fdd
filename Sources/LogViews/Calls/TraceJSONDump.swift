// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import Formatting
import LogFormat
import Symbolize

/// `bts-dump --perfetto`: the run as a timeline, in the Trace Event Format that the Perfetto UI and chrome://tracing open
/// ("Trace Event Format", Google; https://perfetto.dev/docs/getting-started/other-formats).
///
/// - A thread of the trace for each stack of the guest, its calls as nested slices (`B` and `E`).
/// - A thread for each vCPU: slices of the stack that runs, and the log's events as instants (`i`).
/// - Counters of interrupts and exceptions (`C`), for each stretch of 65,536 branches.
///
/// The time is the instruction count: the trace shows an instruction as one nanosecond. In a log without counts it is the
/// branch counter.
public struct TraceJSONDump: BranchView, ~Copyable {
    private let output: ViewOutput
    private var writer: TraceJSONWriter
    private var follower = CallFollower()
    private var names: FunctionNames
    private var log: LogFile?

    /// - Parameters:
    ///   - output: Receives the trace, and a note of what it contains.
    ///   - symbolizer: Names functions; nil: addresses.
    ///   - depthLimit: Calls inside more open calls than this are left out.
    public init(to output: ViewOutput, symbolizer: Symbolizer?, depthLimit: Int?) {
        self.output = output
        writer = TraceJSONWriter(to: output.sink, depthLimit: depthLimit.map { UInt32(clamping: $0) } ?? .max)
        names = FunctionNames(symbolizer)
    }

    /// Begins the branches of an input.
    public mutating func begin(_ input: ViewInput) {
        log = input.log
        writer.beginProcess(input.path, hasIcount: input.hasIcount)
    }

    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) {
        follower.begin(log, vcpu: vcpu)
        writer.begin(vcpu: vcpu)
    }

    /// Takes selected branches.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        let last = range.upperBound - 1
        let first = batch.clockFirst &+ UInt64(range.lowerBound)
        writer.start(at: first, batch.icount[range.lowerBound], stack: follower.stack)
        follower.add(batch, range, names: &names) { step, names in writer.take(step, names) }
        writer.reach(batch.clockFirst &+ UInt64(last), batch.icount[last])
        if let log { writer.addEvents(of: log, from: first, through: batch.clockFirst &+ UInt64(last)) }
    }

    /// Follows the calls of branches that are not shown.
    public mutating func pass(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        follower.add(batch, range, names: &names) { _, _ in }
    }

    /// Ends the branches of a vCPU.
    public mutating func end(vcpu: UInt16) { writer.end() }

    /// Whether the output would stay the same with further branches.
    public var isOver: Bool { output.sink.isClosed }

    /// Writes the end of the document.
    public mutating func finish() {
        writer.finish()
        output.report(.note("\(writer.slices) slices, \(writer.instants) events"))
    }
}
