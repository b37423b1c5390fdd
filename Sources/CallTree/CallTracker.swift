// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Follows the open calls of one vCPU through its branches: a shadow stack for each stack of the guest.
///
///     var tracker = CallTracker(handlers: HandlerSet(log, vcpu: 0))
///     while branches.nextBatch({ tracker.append($0, $1) }) {}
///     print(tracker.depth, tracker.statistics.resynchronisations)
///
/// A call pushes a frame, a return that goes behind the call's instruction pops it; interrupts, exceptions and system
/// calls push, and their iret, sysret, sysexit or rsm pops. What no frame explains is looked for in this order, so that
/// a mistake is repaired at the next return and never adds up:
///
/// 1. A jump to a handler: an interrupt behind a return or indirect branch whose target had not begun. What the branch
///    would have done is done when the handler returns, and tells where the target was.
/// 2. A return as a jump: `call`, `mov [rsp]`, `ret` (retpolines); calls that only fill the return predictor.
/// 3. The stack is another: a scheduler switched. Its switching function returns to the same place on every stack, so the
///    difference shows only when a caller further out differs. From the switch on, frames that are popped are kept
///    (`undone`), to be put back, and the stack is the one whose outer frames fit all returns since. Which functions
///    switch is learned: they are the ones that return to nowhere when a new task begins.
/// 4. A caller further out: longjmp.
/// 5. A stack that was not seen yet.
///
/// Everything but 1 to 3 is marked and counted as a ``Resynchronisation``. Memory is bounded whatever the branches are.
public struct CallTracker: ~Copyable {
    public private(set) var statistics = CallStatistics()
    /// What the branches of the last call of ``append(_:_:)`` did, when ``recordsSteps``.
    public internal(set) var steps: [CallStep] = []
    /// Whether ``steps`` is filled.
    public var recordsSteps = false

    var handlers: HandlerSet
    var frames: UnsafeMutablePointer<CallFrame>
    var count = 0
    var capacity = 64
    var stack: UInt32 = 0
    var nextStack: UInt32 = 1
    /// The stack that began last.
    var lastBegun: UInt32 = 0
    var suspended = StackTable()

    /// Frames popped since the last possible switch, the first popped first; only while `lowWater` is not -1.
    var undone: [CallFrame] = []
    /// Depth below which popped frames are kept in `undone`.
    var lowWater = -1
    /// Functions that return on other stacks than their own.
    var switches: [UInt64] = []
    /// A bit for each of `switches`.
    var switchFilter: UInt64 = 0

    private var epoch: UInt32?
    private var nextClock: UInt64 = 0

    /// Stacks deeper than this lose their outermost half.
    public static let depthLimit = 1 << 19
    /// Popped frames that are kept behind a switch.
    static let undoLimit = 512

    public init(handlers: HandlerSet = HandlerSet()) {
        self.handlers = handlers
        frames = .allocate(capacity: capacity)
    }

    deinit { frames.deallocate() }

    /// Frames open on the current stack.
    public var depth: Int { count }
    /// The current stack's number; 0 is the one that the log began on.
    public var currentStack: UInt32 { stack }
    /// Stacks that are known and not current.
    public var suspendedStacks: Int { suspended.slots.count }
    /// The open frames of the current stack, the innermost last.
    public var openFrames: [CallFrame] { Array(UnsafeBufferPointer(start: frames, count: count)) }
    /// The innermost open frame.
    public var top: CallFrame? { count > 0 ? frames[count - 1] : nil }

    /// Takes some branches of a batch into account. A batch that does not follow the one before (another epoch, records
    /// missing) begins anew, marked.
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

    /// Takes the next branch into account.
    public mutating func append(_ branch: Branch) {
        steps.removeAll(keepingCapacity: true)
        statistics.branches &+= 1
        let effect = CallTracker.effect(branch.label)
        if effect != .nothing { take(branch, effect) }
    }

    /// Begins anew: what follows does not continue what was seen.
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

    /// What branches of a label may do.
    enum Effect: UInt8 {
        case nothing, call, indirectCall, ret, indirectJump, far, systemCall, softwareInterrupt, interruptReturn,
            interruption
    }

    /// The effect of each label, by its number: hot loops ask it once a branch.
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
        case .indirectJump: if handlers.contains(branch.to) { interrupt(branch) }
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
        if switchFilter >> (branch.to >> 4 & 63) & 1 != 0 { frame.isSwitch = switches.contains(branch.to) }
        statistics.calls &+= 1
        push(frame)
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

    /// The current stack is taken for what it seems to be.
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

    /// Counts something.
    mutating func note(_ change: (inout CallStatistics) -> Void) { change(&statistics) }
}

extension CallFrame {
    /// Stands in a step that has no frame.
    static let none = CallFrame(
        .start, Branch(clock: 0, from: 0, to: 0, icount: 0, label: BranchLabel(rawValue: 0)))
}
