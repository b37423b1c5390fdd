// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import Formatting
import LogFormat

/// Writes the records of a ``TraceJSONDump``.
struct TraceJSONWriter: ~Copyable {
    private let sink: any TextSink
    private let depthLimit: UInt32
    private var text = TextBuffer(capacity: 1 << 17)
    private var hasRecords = false
    private var hasIcount = false
    /// The process of the trace: an input.
    private var process: UInt64 = 0
    private var vcpu: UInt16 = 0
    /// The time of the last step.
    private var now: UInt64 = 0
    /// The stacks that have slices, by the tracker's numbers.
    private var stacks: [UInt32: Stack] = [:]
    /// The stack that runs.
    private var running: UInt32?
    /// Calls so far.
    private(set) var slices: UInt64 = 0
    /// Events so far.
    private(set) var instants: UInt64 = 0

    /// The open slices of a stack.
    private struct Stack {
        /// Slices that are open in the trace.
        var open: UInt32 = 0
        /// Open slices that the tracker has dropped; they stay open to the end.
        var dropped: UInt32 = 0
    }

    /// Stacks beyond this number share one thread of the trace.
    private static let stackLimit: UInt32 = 1 << 16

    init(to sink: any TextSink, depthLimit: UInt32) {
        self.sink = sink
        self.depthLimit = depthLimit
        text.append("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n")
    }

    mutating func beginProcess(_ path: String, hasIcount: Bool) {
        process += 1
        self.hasIcount = hasIcount
        nameThread("process_name", 0, "\(path) (\(hasIcount ? "1 ns is 1 instruction" : "1 ns is 1 branch"))")
    }

    mutating func begin(vcpu: UInt16) {
        self.vcpu = vcpu
        now = 0
        nameThread("thread_name", thread, "vcpu \(vcpu)")
    }

    /// The first branches that are shown follow.
    mutating func start(at clock: UInt64, _ icount: UInt64, stack: UInt32) {
        guard running == nil else { return }
        reach(clock, icount)
        run(stack)
    }

    /// Branches up to that one are shown.
    mutating func reach(_ clock: UInt64, _ icount: UInt64) { now = time(clock, icount) }

    /// Closes what is open on the vCPU.
    mutating func end() {
        for (stack, state) in stacks {
            for _ in 0..<state.open { close(stack) }
        }
        if running != nil { event("E", thread, now) { _ in } }
        stacks = [:]
        running = nil
    }

    /// Writes the end of the document.
    mutating func finish() {
        text.append("\n]}\n")
        text.write(to: sink)
    }
}

// MARK: - Calls
extension TraceJSONWriter {
    private func time(_ clock: UInt64, _ icount: UInt64) -> UInt64 { hasIcount ? icount : clock }

    mutating func take(_ step: CallStep, _ names: borrowing FunctionNames) {
        now = time(step.clock, step.icount)
        switch step.action {
        case .enter, .reopen:
            align(step.stack, to: step.depth - min(step.depth, 1))
            open(step.stack, step.frame, step.depth, names)
        case .leave: align(step.stack, to: step.depth)
        case .tailCall:
            align(step.stack, to: step.depth - min(step.depth, 1))
            open(step.stack, step.frame, step.depth, names)
        case .switchStack:
            run(step.stack)
            align(step.stack, to: step.depth)
        case .forget:
            let open = stacks[step.stack]?.open ?? 0
            stacks[step.stack]?.dropped = open > step.depth ? open - step.depth : 0
        }
    }

    /// Closes the slices of a stack that are deeper than a number of open calls.
    private mutating func align(_ stack: UInt32, to depth: UInt32) {
        let wanted = min(depth, depthLimit) &+ (stacks[stack]?.dropped ?? 0)
        while let state = stacks[stack], state.open > wanted {
            close(stack)
            stacks[stack]?.open -= 1
        }
    }

    private mutating func open(
        _ stack: UInt32, _ frame: CallFrame, _ depth: UInt32, _ names: borrowing FunctionNames
    ) {
        guard depth <= depthLimit else { return }
        if stacks[stack] == nil {
            stacks[stack] = Stack()
            nameThread("thread_name", thread(of: stack), "stack \(stack) of vcpu \(vcpu)")
        }
        stacks[stack]?.open += 1
        slices += 1
        let name = names.name(frame.target)
        event("B", thread(of: stack), now) { text in
            text.append(",\"name\":")
            if let name { text.appendJSON(name) } else { TraceJSONWriter.appendAddress(frame.target, to: &text) }
            text.append(",\"cat\":\"")
            text.appendText(frame.kind.name)
            text.append("\",\"args\":{\"from\":")
            TraceJSONWriter.appendAddress(frame.callSite, to: &text)
            text.append(",\"to\":")
            TraceJSONWriter.appendAddress(frame.target, to: &text)
            text.append(",\"brctr\":\"")
            text.appendDecimal(frame.clock)
            text.append("\"}")
        }
    }

    private mutating func close(_ stack: UInt32) { event("E", thread(of: stack), now) { _ in } }

    /// Begins a slice of the vCPU for the stack that runs.
    private mutating func run(_ stack: UInt32) {
        if running != nil { event("E", thread, now) { _ in } }
        running = stack
        event("B", thread, now) { $0.appendText(",\"name\":\"stack \(stack)\",\"cat\":\"stack\"") }
    }
}

// MARK: - Events
extension TraceJSONWriter {
    /// Writes the log's events at some clocks, and how many interrupts and exceptions they are.
    mutating func addEvents(of log: LogFile, from first: UInt64, through last: UInt64) {
        var counts: [(name: StaticString, count: UInt64)] = [("interrupts", 0), ("exceptions", 0)]
        var events = log.events([.event], vcpu: vcpu, from: first, to: last &+ 1)
        while let next = events.next() {
            if next.kind == .interrupt { counts[0].count += 1 }
            if next.kind == .exception { counts[1].count += 1 }
            instants += 1
            let place = next.validity.contains(.icount) || !hasIcount ? time(next.clock, next.icount) : now
            let details = next.details { "0x" + String($0, radix: 16) }
            event("i", thread, place) { text in
                text.append(",\"s\":\"t\",\"name\":")
                text.appendJSON(next.kind.name)
                text.append(",\"cat\":\"event\",\"args\":{\"brctr\":\"")
                text.appendDecimal(next.clock)
                text.append("\",\"details\":")
                text.appendJSON(details)
                if next.validity.contains(.ip) {
                    text.append(",\"ip\":")
                    TraceJSONWriter.appendAddress(next.ip, to: &text)
                }
                text.append(0x7d)
            }
        }
        let vcpu = UInt64(vcpu)
        for (name, count) in counts {
            event("C", thread, now) { text in
                text.append(",\"name\":\"")
                text.append(name)
                text.append(" of vcpu ")
                text.appendDecimal(vcpu)
                text.append("\",\"args\":{\"count\":")
                text.appendDecimal(count)
                text.append(0x7d)
            }
        }
    }
}

// MARK: - Records
extension TraceJSONWriter {
    /// The thread of the vCPU.
    private var thread: UInt64 { UInt64(vcpu) + 1 }

    /// The thread of a stack: their numbers follow those of all vCPUs.
    private func thread(of stack: UInt32) -> UInt64 {
        let number = UInt64(min(stack, TraceJSONWriter.stackLimit))
        return 1000 + UInt64(vcpu) * UInt64(TraceJSONWriter.stackLimit + 1) + number
    }

    private mutating func nameThread(_ record: StaticString, _ thread: UInt64, _ name: String) {
        event("M", thread, 0) { text in
            text.append(",\"name\":\"")
            text.append(record)
            text.append("\",\"args\":{\"name\":")
            text.appendJSON(name)
            text.append(0x7d)
        }
    }

    /// Writes a record; `body` appends its further fields, each after a comma. Times are in microseconds.
    private mutating func event(
        _ phase: StaticString, _ thread: UInt64, _ time: UInt64, _ body: (inout TextBuffer) -> Void
    ) {
        text.append(hasRecords ? ",\n{\"ph\":\"" : "{\"ph\":\"")
        hasRecords = true
        text.append(phase)
        text.append("\",\"pid\":")
        text.appendDecimal(process)
        text.append(",\"tid\":")
        text.appendDecimal(thread)
        text.append(",\"ts\":")
        text.appendDecimal(time / 1000)
        text.append(0x2e)
        let fraction = time % 1000
        if fraction < 100 { text.append(0x30) }
        if fraction < 10 { text.append(0x30) }
        text.appendDecimal(fraction)
        body(&text)
        text.append(0x7d)
        if text.size > 1 << 16 { text.write(to: sink) }
    }

    private static func appendAddress(_ address: UInt64, to text: inout TextBuffer) {
        text.append(0x22)
        text.appendAddress(address)
        text.append(0x22)
    }
}
