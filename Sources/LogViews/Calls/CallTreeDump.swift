// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import Formatting
import LogFormat
import Symbolize

/// Writes the calls of a run as a tree, each where it was entered.
///
///     text   1234:     foo                            a call; indented by the calls that are open
///            1240:       bar  [tail call]             a jump to another function: it stands for foo from here on
///            1250:       tick  [interruption at bar+0x12]
///            1300:   ! unwound: 3 frames left         where the open calls had to be found again
///            1310: --- stack 4, depth 6               the guest goes on with another stack
///     jsonl  {"vcpu":0,"brctr":"1234","icount":"5678","action":"enter","kind":"call","mark":null,"stack":0,"depth":3,
///             "from":"0x…","to":"0x…","fromSymbol":"…","toSymbol":"…"}
///
/// jsonl has the returns too (`leave`; `depth` is how many frames are open after a row, from and to are those of the
/// outermost frame left), and what was set right afterwards (`reopen`).
public struct CallTreeDump: BranchView, ~Copyable {
    /// The version of the jsonl format; goes up when a field changes its meaning or goes away.
    public static let schemaVersion = 1
    /// Deeper calls are not indented further.
    private static let indentLimit: UInt32 = 100

    private let output: ViewOutput
    private let format: RowFormat
    private let depthLimit: UInt32
    private var rows: RowBuffer
    private var follower = CallFollower()
    private var names = FunctionNames(nil)
    private var log: LogFile?
    private var hasIcount = false
    private var width = 1
    private var vcpu: UInt16 = 0
    private var showsVCPU = false
    /// Frames open on the current stack.
    private var depth: UInt32 = 0

    /// - Parameters:
    ///   - format: text or jsonl.
    ///   - depthLimit: calls inside more open calls than this are not printed.
    public init(to output: ViewOutput, format: RowFormat, symbolizer: Symbolizer?, depthLimit: Int?) {
        self.output = output
        rows = RowBuffer(to: output.sink)
        self.format = format
        self.depthLimit = depthLimit.map { UInt32(clamping: $0) } ?? .max
        names = FunctionNames(symbolizer)
    }

    public mutating func begin(_ input: ViewInput) {
        log = input.log
        hasIcount = input.hasIcount
        width = input.counterWidth
        showsVCPU = input.vcpus.count > 1
        if format == .jsonl {
            output.sink.line(input.header(schema: "bts-dump calls", version: CallTreeDump.schemaVersion))
        } else if let heading = input.heading {
            output.sink.line(heading)
        }
    }

    public mutating func begin(vcpu: UInt16) {
        self.vcpu = vcpu
        depth = 0
        follower.begin(log, vcpu: vcpu)
        if showsVCPU, format == .text {
            rows.flush()
            output.sink.line("vcpu \(vcpu):")
        }
    }

    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        var depth = depth
        let printer = Printer(
            format: format, depthLimit: depthLimit, hasIcount: hasIcount, width: width,
            vcpu: vcpu)
        follower.add(batch, range, names: &names) { step, names in
            printer.write(step, from: depth, &names, to: &rows)
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

    public mutating func end(vcpu: UInt16) {
        rows.flush()
        output.report(.note(follower.statistics.summary))
    }

    public mutating func finish() { rows.flush() }

    /// Makes rows of steps.
    private struct Printer {
        let format: RowFormat
        let depthLimit: UInt32
        let hasIcount: Bool
        let width: Int
        let vcpu: UInt16

        /// - Parameter depth: the frames open before the step.
        func write(
            _ step: CallStep, from depth: UInt32, _ names: inout FunctionNames, to rows: inout RowBuffer
        ) {
            let isFrame = step.action != .switchStack && step.mark == nil
            // The frame's own place: how many calls stand around it.
            let place = step.action == .leave ? step.depth : max(step.depth, 1) - 1
            if isFrame, place >= depthLimit { return }
            rows.reserve(1024 + 8 * FunctionNames.lengthLimit)
            switch format {
            case .jsonl: writeJSON(step, names, &rows)
            default: writeText(step, place, from: depth, &names, &rows)
            }
        }

        private func writeText(
            _ step: CallStep, _ place: UInt32, from depth: UInt32, _ names: inout FunctionNames,
            _ rows: inout RowBuffer
        ) {
            let isShown =
                switch step.action {
                case .enter, .tailCall, .switchStack, .forget: true
                case .leave: step.mark != nil
                case .reopen: false
                }
            guard isShown else { return }
            rows.decimal(step.clock, width: width)
            rows.text(": ")
            switch step.action {
            case .enter, .tailCall:
                indent(place, &rows)
                names.appendLabel(step.frame.target, to: &rows)
                if step.action == .tailCall { rows.text("  [tail call]") }
                if step.frame.kind == .start { rows.text("  [start]") }
                if step.frame.kind != .call, step.frame.kind != .start {
                    append(Array("  [\(step.frame.kind.name) at ".utf8), &rows)
                    names.appendLabel(step.frame.callSite, to: &rows)
                    rows.byte(0x5d)
                }
            case .switchStack:
                append(Array("--- stack \(step.stack), depth \(step.depth)".utf8), &rows)
                if let mark = step.mark { append(Array(" [\(mark.name)]".utf8), &rows) }
            default:
                indent(step.depth, &rows)
                let left = depth > step.depth ? depth - step.depth : 0
                append(
                    Array("! \(step.mark?.name ?? ""): \(left) frame\(left == 1 ? "" : "s") left".utf8), &rows
                )
            }
            rows.byte(0x0a)
        }

        private func writeJSON(_ step: CallStep, _ names: borrowing FunctionNames, _ rows: inout RowBuffer) {
            let frame = step.frame
            var text = "{\"vcpu\":\(vcpu),\"brctr\":\"\(step.clock)\","
            text +=
                "\"icount\":\(hasIcount ? "\"\(step.icount)\"" : "null"),\"action\":\"\(step.action.name)\","
            if step.action == .switchStack || step.mark == .beneath {
                text += "\"kind\":null,"
            } else {
                text += "\"kind\":\"\(frame.kind.name)\","
            }
            text += "\"mark\":\(step.mark.map { "\"\($0.name)\"" } ?? "null"),"
            text += "\"stack\":\(step.stack),\"depth\":\(step.depth)"
            if step.action != .switchStack, step.mark != .beneath {
                text +=
                    ",\"from\":\"\(RowText.hex(frame.callSite))\",\"to\":\"\(RowText.hex(frame.target))\""
                if names.hasSymbols {
                    let from = names.name(frame.callSite).map(RowText.json) ?? "null"
                    let to = names.name(frame.target).map(RowText.json) ?? "null"
                    text += ",\"fromSymbol\":\(from),\"toSymbol\":\(to)"
                }
            }
            append(Array((text + "}\n").utf8), &rows)
        }

        private func indent(_ depth: UInt32, _ rows: inout RowBuffer) {
            for _ in 0..<min(depth, CallTreeDump.indentLimit) { rows.text("  ") }
            if depth > CallTreeDump.indentLimit { append(Array("(\(depth)) ".utf8), &rows) }
        }

        private func append(_ bytes: [UInt8], _ rows: inout RowBuffer) {
            bytes.withUnsafeBufferPointer { buffer in
                if let base = buffer.baseAddress { rows.bytes(base, buffer.count) }
            }
        }
    }
}
