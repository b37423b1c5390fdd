// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

/// A call, while it is open and when it has ended: a row of the table of calls.
struct CallRecord {
    var id: Int64
    var vcpu: UInt16
    var stack: UInt32
    var depth: UInt32
    /// 0: none.
    var parent: Int64
    var kind: CallFrame.Kind
    var callSite: UInt64
    var target: UInt64
    var function: UInt64
    var beginClock: UInt64
    var beginIcount: UInt64
    var endClock: UInt64?
    var endIcount: UInt64 = 0
    var selfInstructions: UInt64 = 0
    var selfBranches: UInt64 = 0
    /// With those of the calls inside that have ended.
    var totalInstructions: UInt64 = 0
    var totalBranches: UInt64 = 0
    var interruptions: UInt64 = 0
    var interruptionInstructions: UInt64 = 0
    var ending: String?
    var hasIcount: Bool

    /// Adds the cost of a call inside, or subtracts it.
    mutating func add(_ inner: CallRecord, sign: UInt64) {
        totalInstructions &+= inner.totalInstructions &* sign
        totalBranches &+= inner.totalBranches &* sign
        let isInterruption = inner.kind == .interruption
        interruptions &+= (inner.interruptions &+ (isInterruption ? 1 : 0)) &* sign
        let taken = isInterruption ? inner.totalInstructions : inner.interruptionInstructions
        interruptionInstructions &+= taken &* sign
    }
}

/// The open calls of one vCPU, stack by stack, made from a tracker's steps.
///
/// The cost between two steps belongs to the innermost call. Frames of a stack that was forgotten have no row
/// (`id` 0). Memory is bounded like the tracker's.
struct OpenCalls {
    private let vcpu: UInt16
    private let hasIcount: Bool
    private var open: [CallRecord] = []
    private var suspended: [UInt32: (calls: [CallRecord], lastUsed: UInt64)] = [:]
    private var stack: UInt32 = 0
    private var uses: UInt64 = 0
    private var clock: UInt64 = 0
    private var icount: UInt64?
    /// Calls that ended lately, by where they began: a tracker may find that they are open after all.
    private var ended: [UInt64: CallRecord] = [:]
    private var endedOrder: [UInt64] = []

    private static let stackLimit = 1024
    private static let endedLimit = 2048

    init(vcpu: UInt16, hasIcount: Bool) {
        self.vcpu = vcpu
        self.hasIcount = hasIcount
    }

    /// Adds the cost up to a position to the innermost call.
    mutating func reach(clock: UInt64, icount: UInt64) {
        if let before = self.icount, !open.isEmpty {
            let instructions = icount > before ? icount - before : 0
            let branches = clock > self.clock ? clock - self.clock : 0
            open[open.count - 1].selfInstructions &+= instructions
            open[open.count - 1].selfBranches &+= branches
        }
        self.clock = clock
        self.icount = icount
    }

    /// Takes a step; `function` is where the function of its frame begins.
    mutating func take(_ step: CallStep, _ function: UInt64, _ rows: inout CallRows) {
        reach(clock: step.clock &+ 1, icount: step.icount)
        switch step.action {
        case .enter:
            align(to: Int(step.depth) - 1, step, &rows)
            open.append(record(step, function, id: rows.nextID()))
        case .leave: leave(to: Int(step.depth), step, &rows)
        case .reopen: reopen(step, function, &rows)
        case .switchStack:
            change(to: step.stack, &rows)
            if step.mark == .gap { forgetAll(&rows) }
            align(to: Int(step.depth), step, &rows)
        case .forget:
            let count = max(0, open.count - Int(step.depth))
            for record in open.prefix(count) { write(record, ending: "forgotten", &rows) }
            open.removeFirst(count)
        case .tailCall:
            if !open.isEmpty { open[open.count - 1].function = function }
        }
    }

    /// Ends the log: open calls get their rows.
    mutating func end(_ rows: inout CallRows) {
        suspended[stack] = (open, uses)
        for (_, other) in suspended.sorted(by: { $0.key < $1.key }) {
            // From the innermost on, so that each has the cost of those inside.
            var inner: CallRecord?
            for record in other.calls.reversed() {
                var record = record
                if let inner { record.add(inner, sign: 1) }
                record.totalInstructions &+= record.selfInstructions
                record.totalBranches &+= record.selfBranches
                if record.id != 0 { rows.add(record) }
                inner = record
            }
        }
        suspended = [:]
        open = []
    }

    private func record(_ step: CallStep, _ function: UInt64, id: Int64) -> CallRecord {
        CallRecord(
            id: id, vcpu: vcpu, stack: step.stack, depth: max(step.depth, 1) - 1, parent: open.last?.id ?? 0,
            kind: step.frame.kind, callSite: step.frame.callSite, target: step.frame.target, function: function,
            beginClock: step.frame.clock, beginIcount: step.frame.icount, hasIcount: hasIcount)
    }

    /// Ends the calls inside a depth; the outermost of them is the one that the step is about.
    private mutating func leave(to depth: Int, _ step: CallStep, _ rows: inout CallRows) {
        while open.count > max(depth, 0), var record = open.popLast() {
            record.totalInstructions &+= record.selfInstructions
            record.totalBranches &+= record.selfBranches
            if !open.isEmpty { open[open.count - 1].add(record, sign: 1) }
            guard record.id != 0 else { continue }
            record.endClock = step.clock
            record.endIcount = step.icount
            record.ending = step.mark?.name ?? (open.count > depth ? Resynchronisation.leftOpen.name : nil)
            rows.add(record)
            remember(record)
        }
        align(to: depth, step, &rows)
    }

    private mutating func reopen(_ step: CallStep, _ function: UInt64, _ rows: inout CallRows) {
        align(to: Int(step.depth) - 1, step, &rows)
        guard var record = ended.removeValue(forKey: step.frame.clock) else {
            open.append(record(step, function, id: 0))
            return
        }
        rows.remove(record.id)
        if let outer = open.last, outer.id == record.parent { open[open.count - 1].add(record, sign: .max) }
        record.totalInstructions &-= record.selfInstructions
        record.totalBranches &-= record.selfBranches
        record.endClock = nil
        record.ending = nil
        open.append(record)
    }

    private mutating func remember(_ record: CallRecord) {
        ended[record.beginClock] = record
        endedOrder.append(record.beginClock)
        guard endedOrder.count >= 2 * OpenCalls.endedLimit else { return }
        for clock in endedOrder.prefix(OpenCalls.endedLimit) { ended[clock] = nil }
        endedOrder.removeFirst(OpenCalls.endedLimit)
    }

    /// Sets the number of open frames to `depth`. Frames that are not known have no row.
    private mutating func align(to depth: Int, _ step: CallStep, _ rows: inout CallRows) {
        while open.count > max(depth, 0), let record = open.popLast() {
            write(record, ending: "forgotten", &rows)
        }
        while open.count < depth {
            var record = record(step, step.frame.target, id: 0)
            record.parent = open.last?.id ?? 0
            open.append(record)
        }
    }

    private mutating func change(to other: UInt32, _ rows: inout CallRows) {
        uses &+= 1
        if !open.isEmpty { suspended[stack] = (open, uses) }
        open = suspended.removeValue(forKey: other)?.calls ?? []
        stack = other
        guard suspended.count > OpenCalls.stackLimit,
            let oldest = suspended.min(by: { $0.value.lastUsed < $1.value.lastUsed })
        else { return }
        suspended[oldest.key] = nil
        for record in oldest.value.calls { write(record, ending: "forgotten", &rows) }
    }

    private mutating func forgetAll(_ rows: inout CallRows) {
        for (_, other) in suspended.sorted(by: { $0.key < $1.key }) {
            for record in other.calls { write(record, ending: Resynchronisation.gap.name, &rows) }
        }
        suspended = [:]
        for record in open { write(record, ending: Resynchronisation.gap.name, &rows) }
        open = []
    }

    private func write(_ record: CallRecord, ending: String, _ rows: inout CallRows) {
        guard record.id != 0 else { return }
        var record = record
        record.totalInstructions &+= record.selfInstructions
        record.totalBranches &+= record.selfBranches
        record.ending = ending
        rows.add(record)
    }
}
