// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

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
    /// Calls that ended lately, a ring: a tracker may find that they are open after all.
    private var ended: [CallRecord] = []
    private var endedCount = 0

    private static let stackLimit = 1024

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
    mutating func take(_ step: CallStep, _ function: UInt64, _ rows: inout CallLoader) throws(IndexError) {
        reach(clock: step.clock &+ 1, icount: step.icount)
        switch step.action {
        case .enter:
            try align(to: Int(step.depth) - 1, step, &rows)
            var call = record(step, function)
            try rows.begin(&call)
            open.append(call)
        case .leave: try leave(to: Int(step.depth), step, &rows)
        case .reopen: try reopen(step, function, &rows)
        case .switchStack:
            try change(to: step.stack, &rows)
            if step.mark == .gap { try forgetAll(&rows) }
            try align(to: Int(step.depth), step, &rows)
        case .forget:
            let count = max(0, open.count - Int(step.depth))
            for record in open.prefix(count) { try write(record, ending: .forgotten, &rows) }
            open.removeFirst(count)
        case .tailCall:
            if !open.isEmpty { open[open.count - 1].function = function }
        }
    }

    /// Ends the log: open calls get their rows.
    mutating func end(_ rows: inout CallLoader) throws(IndexError) {
        suspended[stack] = (open, uses)
        for (_, other) in suspended.sorted(by: { $0.key < $1.key }) {
            // From the innermost on, so that each has the cost of those inside.
            var inner: CallRecord?
            for record in other.calls.reversed() {
                var record = record
                if let inner { record.add(inner, sign: 1) }
                record.addSelf(sign: 1)
                if record.id != 0 { try rows.complete(record) }
                inner = record
            }
        }
        suspended = [:]
        open = []
    }

    private func record(_ step: CallStep, _ function: UInt64) -> CallRecord {
        CallRecord(
            id: 0, vcpu: vcpu, stack: step.stack, depth: max(step.depth, 1) - 1, parent: open.last?.id ?? 0,
            kind: step.frame.kind, hasIcount: hasIcount, callSite: step.frame.callSite, target: step.frame.target,
            function: function, beginClock: step.frame.clock, beginIcount: step.frame.icount)
    }

    /// Ends the calls inside a depth; the outermost of them is the one that the step is about.
    private mutating func leave(to depth: Int, _ step: CallStep, _ rows: inout CallLoader) throws(IndexError) {
        while open.count > max(depth, 0), var record = open.popLast() {
            record.addSelf(sign: 1)
            if !open.isEmpty { open[open.count - 1].add(record, sign: 1) }
            guard record.id != 0 else { continue }
            record.hasEnd = true
            record.endClock = step.clock
            record.endIcount = step.icount
            let mark = step.mark ?? (open.count > depth ? .leftOpen : nil)
            record.ending = mark.map(CallEnding.init) ?? .returned
            try rows.complete(record, mayReopen: true)
            remember(record)
        }
        try align(to: depth, step, &rows)
    }

    private mutating func reopen(_ step: CallStep, _ function: UInt64, _ rows: inout CallLoader) throws(IndexError) {
        try align(to: Int(step.depth) - 1, step, &rows)
        guard var record = recall(step.frame.clock) else {
            open.append(self.record(step, function))
            return
        }
        rows.reopen(record.id)
        if let outer = open.last, outer.id == record.parent { open[open.count - 1].add(record, sign: .max) }
        record.addSelf(sign: .max)
        record.hasEnd = false
        record.ending = .returned
        open.append(record)
    }

    private mutating func remember(_ record: CallRecord) {
        if ended.count < CallLoader.reopenLimit {
            ended.append(record)
        } else {
            ended[endedCount % CallLoader.reopenLimit] = record
        }
        endedCount += 1
    }

    /// Takes out the call that ended lately and began at that clock.
    private mutating func recall(_ clock: UInt64) -> CallRecord? {
        for back in 1..<ended.count + 1 {
            let place = (endedCount - back) % CallLoader.reopenLimit
            guard ended[place].beginClock == clock, ended[place].id != 0 else { continue }
            defer { ended[place].id = 0 }
            return ended[place]
        }
        return nil
    }

    /// Sets the number of open frames to `depth`. Frames that are not known have no row.
    private mutating func align(to depth: Int, _ step: CallStep, _ rows: inout CallLoader) throws(IndexError) {
        while open.count > max(depth, 0), let record = open.popLast() {
            try write(record, ending: .forgotten, &rows)
        }
        while open.count < depth {
            var record = self.record(step, step.frame.target)
            record.parent = open.last?.id ?? 0
            open.append(record)
        }
    }

    private mutating func change(to other: UInt32, _ rows: inout CallLoader) throws(IndexError) {
        uses &+= 1
        if !open.isEmpty { suspended[stack] = (open, uses) }
        open = suspended.removeValue(forKey: other)?.calls ?? []
        stack = other
        guard suspended.count > OpenCalls.stackLimit,
            let oldest = suspended.min(by: { $0.value.lastUsed < $1.value.lastUsed })
        else { return }
        suspended[oldest.key] = nil
        for record in oldest.value.calls { try write(record, ending: .forgotten, &rows) }
    }

    private mutating func forgetAll(_ rows: inout CallLoader) throws(IndexError) {
        for (_, other) in suspended.sorted(by: { $0.key < $1.key }) {
            for record in other.calls { try write(record, ending: CallEnding(.gap), &rows) }
        }
        suspended = [:]
        for record in open { try write(record, ending: CallEnding(.gap), &rows) }
        open = []
    }

    private func write(_ record: CallRecord, ending: CallEnding, _ rows: inout CallLoader) throws(IndexError) {
        guard record.id != 0 else { return }
        var record = record
        record.addSelf(sign: 1)
        record.ending = ending
        try rows.complete(record)
    }
}
