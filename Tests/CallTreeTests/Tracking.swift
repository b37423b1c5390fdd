// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import TestSupport
import Testing

/// The open frames, rebuilt from the steps of a tracker as a view does.
struct StepReader {
    private(set) var stacks: [UInt32: [CallFrame]] = [0: []]
    private(set) var current: UInt32 = 0
    private(set) var marks: [Resynchronisation] = []
    /// The targets of returns that are used as jumps.
    private(set) var jumps: [UInt64] = []

    var frames: [CallFrame] { stacks[current] ?? [] }

    mutating func take(_ steps: [CallStep]) {
        for step in steps {
            if let mark = step.mark { marks.append(mark) }
            let surplus = (stacks[step.stack]?.count ?? 0) - Int(step.depth)
            switch step.action {
            case .enter, .reopen: stacks[step.stack, default: []].append(step.frame)
            case .leave: stacks[step.stack, default: []].removeLast(surplus)
            case .switchStack: current = step.stack
            case .forget: stacks[step.stack, default: []].removeFirst(surplus)
            case .tailCall:
                jumps.append(step.frame.target)
                if let last = stacks[step.stack]?.indices.last, stacks[step.stack]?[last].kind == .call {
                    stacks[step.stack]?[last].target = step.frame.target
                }
            }
            #expect(step.stack == current)
            #expect(stacks[step.stack]?.count ?? 0 == Int(step.depth), "\(step)")
        }
    }
}

/// The state of a tracker after a log, and what its steps reported.
struct Tracking {
    var statistics: CallStatistics
    /// The targets of the open frames, the outermost first.
    var open: [UInt64]
    var frames: [CallFrame]
    var depths: [Int] = []
    var marks: [Resynchronisation]
    var stack: UInt32
    var suspended: Int
    var jumps: [UInt64]

    /// Follows the calls of a log that is given as text. The tracker knows the log's handlers, as in the tools.
    static func of(_ text: String, knowsHandlers: Bool = true) throws -> Tracking {
        let scratch = try temporaryDirectory()
        let path = scratch.file("log")
        try assemble(text, to: path)
        return try of(LogFile(path: path), knowsHandlers: knowsHandlers)
    }

    static func of(_ log: LogFile, knowsHandlers: Bool = true) throws -> Tracking {
        var tracker = CallTracker(handlers: knowsHandlers ? HandlerSet(log, vcpu: 0) : HandlerSet())
        tracker.recordsSteps = true
        var reader = StepReader()
        var depths: [Int] = []
        var cursor = log.branches()
        while cursor.nextBatch({ batch, range in
            for index in range {
                tracker.append(batch, index..<(index + 1))
                reader.take(tracker.steps)
                depths.append(tracker.depth)
            }
        }) {}
        #expect(reader.frames == tracker.openFrames)
        let statistics = tracker.statistics
        #expect(statistics.resynchronisations == UInt64(reader.marks.count))
        #expect(statistics.branches == UInt64(depths.count))
        // Follows the same log without steps, in whole batches.
        var quick = CallTracker(handlers: knowsHandlers ? HandlerSet(log, vcpu: 0) : HandlerSet())
        var whole = log.branches()
        while whole.nextBatch({ quick.append($0, $1) }) {}
        #expect(quick.statistics == statistics && quick.openFrames == tracker.openFrames)
        return Tracking(
            statistics: statistics, open: tracker.openFrames.map(\.target), frames: tracker.openFrames, depths: depths,
            marks: reader.marks, stack: tracker.currentStack, suspended: tracker.suspendedStacks, jumps: reader.jumps)
    }
}
