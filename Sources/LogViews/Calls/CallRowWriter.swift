// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import Formatting

/// Writes the rows of a ``CallTreeDump``, one for each step of a call tracker.
struct CallRowWriter {
    /// Calls inside more open calls than this are not written.
    let depthLimit: UInt32
    let hasIcount: Bool
    /// The width of the counter in text.
    let width: Int
    let vcpu: UInt16

    /// Deeper calls are not indented further.
    private static let indentLimit: UInt32 = 100

    /// Writes a step.
    ///
    /// - Parameter depth: The frames that were open before the step.
    func write(_ step: CallStep, from depth: UInt32, _ names: inout FunctionNames, to rows: inout RowEncoder) {
        let isFrame = step.action != .switchStack && step.mark == nil
        // The number of calls around the frame.
        let place = step.action == .leave ? step.depth : max(step.depth, 1) - 1
        if isFrame, place >= depthLimit { return }
        switch rows.format {
        case .jsonl, .csv: writeFields(step, names, &rows)
        case .text: writeText(step, place, from: depth, &names, &rows)
        }
    }

    private func writeText(
        _ step: CallStep, _ place: UInt32, from depth: UInt32, _ names: inout FunctionNames, _ rows: inout RowEncoder
    ) {
        let isShown =
            switch step.action {
            case .enter, .tailCall, .switchStack, .forget: true
            case .leave: step.mark != nil
            case .reopen: false
            }
        guard isShown else { return }
        rows.text.appendDecimal(step.clock, width: width)
        rows.text.append(": ")
        switch step.action {
        case .enter, .tailCall:
            indent(place, &rows)
            names.appendLabel(step.frame.target, to: &rows.text)
            if step.action == .tailCall { rows.text.append("  [tail call]") }
            if step.frame.kind == .start { rows.text.append("  [start]") }
            if step.frame.kind != .call, step.frame.kind != .start {
                rows.text.appendText("  [\(step.frame.kind.name) at ")
                names.appendLabel(step.frame.callSite, to: &rows.text)
                rows.text.append(0x5d)
            }
        case .switchStack:
            rows.text.appendText("--- stack \(step.stack), depth \(step.depth)")
            if let mark = step.mark { rows.text.appendText(" [\(mark.name)]") }
        case .leave, .reopen, .forget:
            indent(step.depth, &rows)
            let left = depth > step.depth ? depth - step.depth : 0
            rows.text.appendText("! \(step.mark?.name ?? ""): \(left) frame\(left == 1 ? "" : "s") left")
        }
        rows.endText()
    }

    private func writeFields(_ step: CallStep, _ names: borrowing FunctionNames, _ rows: inout RowEncoder) {
        let frame = step.frame
        let hasFrame = step.action != .switchStack && step.mark != .beneath
        rows.begin()
        rows.number("vcpu", UInt64(vcpu))
        rows.counter("brctr", step.clock)
        rows.counter("icount", hasIcount ? step.icount : nil)
        rows.string("action", step.action.name)
        rows.string("kind", hasFrame ? frame.kind.name : nil)
        rows.string("mark", step.mark?.name)
        rows.number("stack", UInt64(step.stack))
        rows.number("depth", UInt64(step.depth))
        if hasFrame {
            rows.address("from", frame.callSite)
            rows.address("to", frame.target)
            if names.hasSymbols {
                rows.string("fromSymbol", names.name(frame.callSite))
                rows.string("toSymbol", names.name(frame.target))
                if rows.format == .jsonl {
                    if let name = names.hiddenLinkageName(frame.callSite) { rows.string("from_linkage_name", name) }
                    if let name = names.hiddenLinkageName(frame.target) { rows.string("to_linkage_name", name) }
                }
            }
        }
        rows.end()
    }

    private func indent(_ depth: UInt32, _ rows: inout RowEncoder) {
        rows.text.appendSpaces(2 * Int(min(depth, CallRowWriter.indentLimit)))
        if depth > CallRowWriter.indentLimit { rows.text.appendText("(\(depth)) ") }
    }
}
