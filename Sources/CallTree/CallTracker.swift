// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Follows the open calls of one vCPU through its branches: a shadow stack for each stack of the guest.
///
///     var tracker = CallTracker(handlers: HandlerSet(log, vcpu: 0))
///     while branches.nextBatch({ tracker.append($0, $1) }) {}
///     print(tracker.depth, tracker.statistics.resynchronisations)
///
/// A call pushes a frame, and a return to the instruction after the call pops it. Interrupts, exceptions and system
/// calls push a frame, and their iret, sysret, sysexit or rsm pops it. For other returns the tracker tries these
/// explanations in order. It corrects a wrong guess at the next return, so errors do not accumulate:
///
/// 1. A jump to a handler: an interrupt after a return or indirect branch whose target had not begun. The tracker
///    applies that branch when the handler returns; the address that the handler returns to is its target.
/// 2. A return that is used as a jump: `call`, `mov [rsp]`, `ret` (retpolines); calls that only fill the return
///    predictor.
/// 3. A switch to another stack by a scheduler. The switching function returns to the same place on every stack, so the
///    switch shows only when an outer caller differs. The tracker keeps the frames that are popped after a possible
///    switch (`undone`) and can restore them. The right stack is the one whose outer frames fit all returns since the
///    switch. The tracker learns which functions switch: they return to an unknown place when a new task begins.
/// 4. An outer caller: longjmp.
/// 5. A new stack.
///
/// Explanations 4 and 5 are marked and counted as a ``Resynchronisation``. Memory is bounded for all inputs.
public struct CallTracker: ~Copyable {
    /// The counts of the observations so far.
    public private(set) var statistics = CallStatistics()
    /// The steps that the last call of ``append(_:_:)`` made, if ``recordsSteps`` is set.
    public internal(set) var steps: [CallStep] = []
    /// Whether ``steps`` is filled.
    public var recordsSteps = false

    var handlers: HandlerSet
    var frames: UnsafeMutablePointer<CallFrame>
    var count = 0
    var capacity = 64
    var stack: UInt32 = 0
    var nextStack: UInt32 = 1
    /// The newest stack.
    var lastBegun: UInt32 = 0
    var suspended = StackTable()

    /// Frames popped since the last possible switch, in the order of popping; used only while `lowWater` is not -1.
    var undone: [CallFrame] = []
    /// The depth below which popped frames are kept in `undone`.
    var lowWater = -1
    /// Functions that return on stacks other than their own.
    var switches: [UInt64] = []
    /// A bit for each function in `switches`.
    var switchFilter: UInt64 = 0

    private var epoch: UInt32?
    private var nextClock: UInt64 = 0

    /// The number of frames beyond which a stack loses its outermost half.
    public static let depthLimit = 1 << 19
    /// The largest distance, in bytes, of a thunk's jump from its beginning: `endbr64` or `lfence` is before it.
    private static let thunkJump: UInt64 = 4
    /// The size of a stub of a procedure linkage table, in bytes.
    private static let stubSize: UInt64 = 16
    /// The number of popped frames that are kept after a switch.
    static let undoLimit = 512

    /// A tracker without open calls.
    ///
    /// - Parameter handlers: known targets of interrupts and exceptions.
    public init(handlers: HandlerSet = HandlerSet()) {
        self.handlers = handlers
        frames = .allocate(capacity: capacity)
    }

    /// A tracker with the open calls of another one, and its guesses.
    public init(copying other: borrowing CallTracker) {
        statistics = other.statistics
        recordsSteps = other.recordsSteps
        handlers = other.handlers
        count = other.count
        capacity = other.capacity
        frames = .allocate(capacity: capacity)
        frames.initialize(from: other.frames, count: count)
        stack = other.stack
        nextStack = other.nextStack
        lastBegun = other.lastBegun
        suspended = StackTable(copying: other.suspended)
        undone = other.undone
        lowWater = other.lowWater
        switches = other.switches
        switchFilter = other.switchFilter
        epoch = other.epoch
        nextClock = other.nextClock
    }

    deinit { frames.deallocate() }

    /// The number of frames that are open on the current stack.
    public var depth: Int { count }
    /// The number of the current stack; 0 is the stack on which the log begins.
    public var currentStack: UInt32 { stack }
    /// The number of known stacks that are not current.
    public var suspendedStacks: Int { suspended.slots.count }
    /// The open frames of the current stack, the innermost last.
    public var openFrames: [CallFrame] { Array(UnsafeBufferPointer(start: frames, count: count)) }
    /// The innermost open frame.
    public var top: CallFrame? { count > 0 ? frames[count - 1] : nil }

    /// Takes the branches of a batch that have these indexes. If the batch does not continue the previous one (another
    /// epoch, missing records), the tracker starts without open calls and marks the step.
    public mutating func append(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        steps.removeAll(keepingCapacity: true)
        guard let first = range.first, first >= 0, range.upperBound <= batch.count else { return }
        let base = batch.clockFirst
        let clock = base &+ UInt64(first)
        if let epoch, epoch != batch.epoch || clock != nextClock {
            beginAnew(clock: clock, icount: batch.icount[first])
        }
        epoch = batch.epoch
        nextClock = base &+ UInt64(range.upperBound)
        statistics.branches &+= UInt64(range.count)
        let (from, to, icount, label) = (batch.from, batch.to, batch.icount, batch.label)
        let effects = CallTracker.effects
        for index in range {
            let effect = effects[Int(label[index])]
            if effect == .nothing { continue }
            let target = to[index]
            if effect == .ret, count > 0 {
                let frame = frames[count - 1]
                if frame.fits(target), !frame.isSwitch, count > lowWater {
                    count -= 1
                    if recordsSteps {
                        step(.leave, frame, clock: base &+ UInt64(index), icount: icount[index])
                    }
                    continue
                }
            }
            let branch = Branch(
                clock: base &+ UInt64(index), from: from[index], to: target, icount: icount[index],
                label: BranchLabel(rawValue: label[index]))
            take(branch, effect)
        }
    }

    /// Takes the next branch.
    public mutating func append(_ branch: Branch) {
        steps.removeAll(keepingCapacity: true)
        statistics.branches &+= 1
        let effect = CallTracker.effect(branch.label)
        if effect != .nothing { take(branch, effect) }
    }

    /// Starts without open calls, because the next branches do not continue the last ones.
    mutating func beginAnew(clock: UInt64, icount: UInt64) {
        suspended.removeAll()
        count = 0
        settle()
        stack = nextStack
        nextStack &+= 1
        statistics.add(.gap)
        step(.switchStack, .none, .gap, clock: clock, icount: icount)
    }

    // MARK: Effects

    /// The possible effects of a branch, by its label.
    enum Effect: UInt8 {
        case nothing, call, indirectCall, ret, indirectJump, far, systemCall, softwareInterrupt, interruptReturn,
            interruption
    }

    /// The effect of each label, by its number; hot loops read it once for each branch.
    private static let effects = (0...255).map { effect(BranchLabel(rawValue: UInt8($0))) }

    private static func effect(_ label: BranchLabel) -> Effect {
        if label.isDiscontinuity { return .interruption }
        return switch label.branchClass {
        case .call: .call
        case .callIndirect: .indirectCall
        case .ret: .ret
        case .jmpIndirect: .indirectJump
        case .far: .far
        case .iret, .sysret, .sysexit, .rsm: .interruptReturn
        case .int: .softwareInterrupt
        case .syscall, .sysenter: .systemCall
        case .none, .jcc, .jmp, .hlt, .rep, .unknown: .nothing
        }
    }

    @inline(__always)
    private mutating func take(_ branch: Branch, _ effect: Effect) {
        switch effect {
        case .nothing: break
        case .call: call(branch)
        case .indirectCall: handlers.contains(branch.to) ? interrupt(branch) : call(branch)
        case .ret: takeReturn(branch)
        case .indirectJump: handlers.contains(branch.to) ? interrupt(branch) : passThunk(branch)
        case .far: takeFar(branch)
        case .systemCall, .softwareInterrupt:
            enterKernel(branch)
            statistics.systemCalls &+= 1
            push(CallFrame(effect == .systemCall ? .systemCall : .softwareInterrupt, branch))
        case .interruptReturn: takeInterruptReturn(branch)
        case .interruption: interrupt(branch)
        }
    }

    @inline(__always)
    mutating func call(_ branch: Branch) {
        var frame = CallFrame(.call, branch)
        frame.isSwitch = switchesStacks(branch.to)
        statistics.calls &+= 1
        push(frame)
    }

    /// Whether a function is known to return on stacks other than its own.
    @inline(__always)
    private func switchesStacks(_ function: UInt64) -> Bool {
        switchFilter >> (function >> 4 & 63) & 1 != 0 && switches.contains(function)
    }

    /// Gives the innermost call another function: the one that the called code jumps to.
    mutating func retarget(_ function: UInt64) {
        guard count > 0, frames[count - 1].kind == .call else { return }
        frames[count - 1].target = function
        frames[count - 1].isSwitch = switchesStacks(function)
    }

    /// Takes an indirect jump. If it is the first branch of the called code and at its beginning, the code is a thunk: a
    /// stub of a procedure linkage table, or a retpoline that the kernel replaced by a jump. The frame is then that of the
    /// function which the jump reaches.
    ///
    /// Switches that check their range jump later. A stub that is not bound yet jumps to its own next instruction.
    @inline(__always)
    private mutating func passThunk(_ branch: Branch) {
        guard count > 0, case let frame = frames[count - 1], frame.kind == .call, branch.clock &- frame.clock == 1,
            branch.from &- frame.target <= CallTracker.thunkJump, branch.to &- frame.target > CallTracker.stubSize
        else { return }
        retarget(branch.to)
        step(.tailCall, CallFrame(.call, branch), clock: branch.clock, icount: branch.icount)
    }

    // MARK: The current stack

    @inline(__always)
    mutating func push(_ frame: CallFrame) {
        if count == capacity { grow(clock: frame.clock, icount: frame.icount) }
        frames[count] = frame
        count += 1
        if count > statistics.deepest { statistics.deepest = count }
        if recordsSteps { step(.enter, frame, clock: frame.clock, icount: frame.icount) }
    }

    private mutating func grow(clock: UInt64, icount: UInt64) {
        if capacity >= CallTracker.depthLimit {
            settle()
            let kept = count / 2
            frames.update(from: frames + (count - kept), count: kept)
            count = kept
            statistics.add(.tooDeep)
            step(.forget, frames[0], .tooDeep, clock: clock, icount: icount)
            return
        }
        let larger = UnsafeMutablePointer<CallFrame>.allocate(capacity: capacity * 2)
        larger.update(from: frames, count: count)
        frames.deallocate()
        frames = larger
        capacity *= 2
    }

    /// Pops down to a depth.
    mutating func pop(to depth: Int, _ branch: Branch, _ mark: Resynchronisation? = nil) {
        guard depth < count else { return }
        if depth < lowWater {
            if undone.count + lowWater - depth > CallTracker.undoLimit {
                settle()
            } else {
                for index in stride(from: lowWater - 1, through: depth, by: -1) { undone.append(frames[index]) }
                lowWater = depth
            }
        }
        count = depth
        if let mark { statistics.add(mark) }
        if recordsSteps { step(.leave, frames[depth], mark, clock: branch.clock, icount: branch.icount) }
    }

    /// Accepts the current guess about the stack.
    mutating func settle() {
        lowWater = -1
        undone.removeAll(keepingCapacity: true)
    }

    mutating func step(
        _ action: CallStep.Action, _ frame: CallFrame, _ mark: Resynchronisation? = nil, clock: UInt64, icount: UInt64
    ) {
        guard recordsSteps else { return }
        steps.append(
            CallStep(
                action: action, mark: mark, stack: stack, depth: UInt32(truncatingIfNeeded: count), frame: frame,
                clock: clock, icount: icount))
    }

    /// Changes the counts.
    mutating func note(_ change: (inout CallStatistics) -> Void) { change(&statistics) }
}

extension CallFrame {
    /// The frame of a step that has none.
    static let none = CallFrame(
        .start, Branch(clock: 0, from: 0, to: 0, icount: 0, label: BranchLabel(rawValue: 0)))
}
