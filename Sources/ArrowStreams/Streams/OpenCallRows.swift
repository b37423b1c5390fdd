// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree

/// The open calls of one vCPU, made from a tracker's steps, and those that ended lately.
///
/// A tracker may find later that a call did not end. Therefore ended calls wait until so many others have ended that they
/// cannot be opened again.
struct OpenCallRows {
    let vcpu: UInt16
    private var open: [CallRow] = []
    private var stack: UInt32 = 0
    /// The calls of the other stacks, the least recently used one first.
    private var others: [(stack: UInt32, calls: [CallRow])] = []
    private var otherCount = 0
    private var ended: [CallRow] = []

    /// Calls that wait: more than a tracker may open again.
    private static let waitingLimit = 4096
    private static let stackLimit = 1024
    /// Calls of other stacks that are kept.
    private static let otherLimit = 1 << 20

    init(vcpu: UInt16) { self.vcpu = vcpu }

    /// Takes the calls that ended and cannot change any more.
    mutating func takeFinal() -> [CallRow] {
        guard ended.count > 2 * OpenCallRows.waitingLimit else { return [] }
        let count = ended.count - OpenCallRows.waitingLimit
        defer { ended.removeFirst(count) }
        return ended.prefix(count).filter(\.isKnown)
    }

    /// Takes all calls at the end of the log.
    mutating func takeAll() -> [CallRow] {
        defer { self = OpenCallRows(vcpu: vcpu) }
        return (ended + others.flatMap(\.calls) + open).filter(\.isKnown)
    }

    /// Takes a step.
    mutating func take(_ step: CallStep) {
        switch step.action {
        case .enter:
            align(to: Int(step.depth) - 1, step)
            open.append(row(step))
        case .leave:
            let depth = Int(step.depth)
            while open.count > depth, let call = open.last {
                let mark = step.mark ?? (open.count > depth + 1 ? .leftOpen : nil)
                end(call, mark?.name ?? "returned", at: (step.clock, step.icount))
                open.removeLast()
            }
            align(to: depth, step)
        case .reopen:
            align(to: Int(step.depth) - 1, step)
            open.append(recall(step) ?? row(step))
        case .switchStack:
            change(to: step.stack)
            if step.mark == .gap { forgetAll() }
            align(to: Int(step.depth), step)
        case .forget:
            let count = max(0, open.count - Int(step.depth))
            for call in open.prefix(count) { end(call, "forgotten") }
            open.removeFirst(count)
        case .tailCall:
            if !open.isEmpty { open[open.count - 1].function = step.frame.target }
        }
    }

    private func row(_ step: CallStep, isKnown: Bool = true) -> CallRow {
        CallRow(
            vcpu: vcpu, stack: step.stack, depth: UInt32(truncatingIfNeeded: open.count), frame: step.frame,
            function: step.frame.target, isKnown: isKnown)
    }

    private mutating func end(_ call: CallRow, _ ending: String, at end: (clock: UInt64, icount: UInt64)? = nil) {
        var call = call
        call.end = end
        call.ending = ending
        ended.append(call)
    }

    /// Takes out the call that ended lately and is open again.
    private mutating func recall(_ step: CallStep) -> CallRow? {
        let recent = ended.suffix(OpenCallRows.waitingLimit)
        guard let place = recent.lastIndex(where: { $0.frame.clock == step.frame.clock }) else { return nil }
        var call = ended.remove(at: place)
        call.end = nil
        call.ending = nil
        return call
    }

    /// Sets the number of open calls. Calls whose beginning is unknown get no row.
    private mutating func align(to depth: Int, _ step: CallStep) {
        while open.count > max(depth, 0), let call = open.popLast() { end(call, "forgotten") }
        while open.count < depth { open.append(row(step, isKnown: false)) }
    }

    private mutating func change(to other: UInt32) {
        if !open.isEmpty {
            others.append((stack, open))
            otherCount += open.count
        }
        open = []
        if let place = others.firstIndex(where: { $0.stack == other }) {
            open = others.remove(at: place).calls
            otherCount -= open.count
        }
        stack = other
        while others.count > OpenCallRows.stackLimit || otherCount > OpenCallRows.otherLimit {
            let oldest = others.removeFirst()
            otherCount -= oldest.calls.count
            for call in oldest.calls { end(call, "forgotten") }
        }
    }

    private mutating func forgetAll() {
        for call in others.flatMap(\.calls) + open { end(call, Resynchronisation.gap.name) }
        others = []
        otherCount = 0
        open = []
    }
}
