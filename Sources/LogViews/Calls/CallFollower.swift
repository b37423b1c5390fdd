// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

/// Follows the open calls of one vCPU after another for a dump: the steps of a tracker and, if symbols are known, the
/// jumps to other functions.
struct CallFollower: ~Copyable {
    private var tracker = CallTracker()
    /// The stack after the last step, and its depth.
    private(set) var stack: UInt32 = 0
    private var depth: UInt32 = 0

    /// A vCPU's branches begin.
    mutating func begin(_ log: LogFile?, vcpu: UInt16) {
        tracker = CallTracker(handlers: log.map { HandlerSet($0, vcpu: vcpu) } ?? HandlerSet())
        tracker.recordsSteps = true
        (stack, depth) = (0, 0)
    }

    var statistics: CallStatistics { tracker.statistics }

    /// Calls `body` with each step of some branches.
    mutating func add(
        _ batch: borrowing BranchBatch, _ range: Range<Int>, names: inout FunctionNames,
        _ body: (CallStep, inout FunctionNames) throws -> Void
    ) rethrows {
        tracker.append(batch, range)
        let steps = tracker.steps
        var next = 0
        if names.hasSymbols {
            let (from, to, icount, label) = (batch.from, batch.to, batch.icount, batch.label)
            for index in range {
                let clock = batch.clockFirst &+ UInt64(index)
                if next < steps.count, steps[next].clock == clock {
                    while next < steps.count, steps[next].clock == clock {
                        try take(steps[next], &names, body)
                        next += 1
                    }
                    continue
                }
                guard CallFollower.isJump(BranchLabel(rawValue: label[index])), depth > 0,
                    names.isTailCall(from: from[index], to: to[index])
                else {
                    continue
                }
                // A jump to a return that many functions share is no call.
                let isReturn =
                    index + 1 < batch.count && BranchLabel(rawValue: label[index + 1]) == BranchLabel(.ret)
                    && from[index + 1] == to[index]
                if isReturn { continue }
                let branch = Branch(
                    clock: clock, from: from[index], to: to[index], icount: icount[index],
                    label: BranchLabel(rawValue: label[index]))
                let step = CallStep(
                    action: .tailCall, stack: stack, depth: depth, frame: CallFrame(.call, branch),
                    clock: clock,
                    icount: branch.icount)
                try body(step, &names)
            }
        }
        while next < steps.count {
            try take(steps[next], &names, body)
            next += 1
        }
    }

    /// Whether a branch of that label is a jump that was taken.
    @inline(__always)
    private static func isJump(_ label: BranchLabel) -> Bool {
        label == BranchLabel(.jcc, hasStaticTarget: true) || label == BranchLabel(.jmp, hasStaticTarget: true)
            || label.classNumber == BranchClass.jmpIndirect.rawValue
    }

    private mutating func take(
        _ step: CallStep, _ names: inout FunctionNames,
        _ body: (CallStep, inout FunctionNames) throws -> Void
    ) rethrows {
        (stack, depth) = (step.stack, step.depth)
        if step.action == .tailCall, names.entry(of: step.frame.target) != step.frame.target { return }
        try body(step, &names)
    }
}

extension CallStatistics {
    /// One line for the end of a dump.
    var summary: String {
        func words(_ count: UInt64, _ one: String, _ many: String) -> String { "\(count) \(count == 1 ? one : many)" }
        var text = words(calls, "call", "calls")
        text += ", " + words(interruptions, "interruption", "interruptions")
        text += ", " + words(systemCalls, "system call", "system calls")
        text += ", " + words(switches, "switch of stacks", "switches of stacks")
        guard resynchronisations > 0 else { return text + "; every return was explained" }
        let reasons = Resynchronisation.allCases.filter { self[$0] > 0 }.map { "\($0.name) \(self[$0])" }
        text += "; \(words(resynchronisations, "time", "times")) the open calls had to be found again"
        return text + " (\(reasons.joined(separator: ", ")))"
    }
}
