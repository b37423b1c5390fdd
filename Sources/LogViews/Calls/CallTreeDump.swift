// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import Formatting
import LogFormat
import Symbolize

/// Writes the calls of a run as a tree, each where it was entered.
///
///     text   1234:     foo                            a call; indented by the open calls
///            1240:       bar  [tail call]             a jump to another function, which replaces foo
///            1250:       tick  [interruption at bar+0x12]
///            1300:   ! unwound: 3 frames left         the open calls had to be found again
///            1310: --- stack 4, depth 6               the guest switches to another stack
///     jsonl  {"vcpu":0,"brctr":"1234","icount":"5678","action":"enter","kind":"call","mark":null,"stack":0,"depth":3,
///             "from":"0x…","to":"0x…","fromSymbol":"…","toSymbol":"…"}
///
/// jsonl also has the returns (`leave`: `depth` is the number of frames that are open after the row, `from` and `to` are
/// those of the outermost frame left) and the corrections made afterwards (`reopen`).
public struct CallTreeDump: BranchView, ~Copyable {
    /// The name and version of the rows.
    public static let schema = RowSchema("bts-dump calls", version: 1)

    private let output: ViewOutput
    private let depthLimit: UInt32
    private var rows: RowEncoder
    private var follower = CallFollower()
    private var names: FunctionNames
    private var log: LogFile?
    private var hasIcount = false
    private var width = 1
    private var vcpu: UInt16 = 0
    private var showsVCPU = false
    /// Frames open on the current stack.
    private var depth: UInt32 = 0

    /// - Parameters:
    ///   - output: Receives the rows, and a summary of each vCPU's calls.
    ///   - format: Text or jsonl.
    ///   - symbolizer: Names functions; `nil`: addresses only, and no tail calls.
    ///   - depthLimit: Calls inside more open calls than this are not written.
    public init(to output: ViewOutput, format: RowFormat, symbolizer: Symbolizer?, depthLimit: Int?) {
        self.output = output
        rows = RowEncoder(to: output.sink, format: format)
        self.depthLimit = depthLimit.map { UInt32(clamping: $0) } ?? .max
        names = FunctionNames(symbolizer)
    }

    /// Begins the branches of an input.
    public mutating func begin(_ input: ViewInput) {
        log = input.log
        hasIcount = input.hasIcount
        width = input.counterWidth
        showsVCPU = input.vcpus.count > 1
        switch rows.format {
        case .jsonl: rows.line(CallTreeDump.schema.header(log: input.path))
        case .text, .csv: if let heading = input.heading { rows.line(heading) }
        }
    }

    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) {
        self.vcpu = vcpu
        depth = 0
        follower.begin(log, vcpu: vcpu)
        if showsVCPU, rows.format == .text { rows.line("vcpu \(vcpu):") }
    }

    /// Takes selected branches.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        var depth = depth
        let writer = CallRowWriter(depthLimit: depthLimit, hasIcount: hasIcount, width: width, vcpu: vcpu)
        follower.add(batch, range, names: &names) { step, names in
            writer.write(step, from: depth, &names, to: &rows)
            depth = step.depth
        }
        self.depth = depth
    }

    /// Follows the calls of branches that are not shown.
    public mutating func pass(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        var depth = depth
        follower.add(batch, range, names: &names) { step, _ in depth = step.depth }
        self.depth = depth
    }

    /// Ends the branches of a vCPU.
    public mutating func end(vcpu: UInt16) {
        rows.flush()
        output.report(.note(follower.statistics.summary))
    }

    /// Whether the output would stay the same with further branches.
    public var isOver: Bool { rows.sink.isClosed }

    /// Writes the rest to the sink.
    public mutating func finish() { rows.flush() }
}
