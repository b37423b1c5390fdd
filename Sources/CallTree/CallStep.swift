// SPDX-License-Identifier: GPL-2.0-or-later

/// A change that a branch makes to the open calls. One branch makes zero, one or a few steps.
public struct CallStep: Sendable, Hashable, BitwiseCopyable {
    /// The change.
    public enum Action: UInt8, Sendable, Hashable, BitwiseCopyable {
        /// `frame` was pushed.
        case enter
        /// Frames were popped down to `depth`; `frame` is the outermost of them.
        case leave
        /// Execution continues on another stack; `stack` and `depth` are those of that stack. `frame` is unused.
        case switchStack
        /// `frame` is open again on stack `stack`. It had been popped under the assumption that the stack was another.
        case reopen
        /// The outermost frames were dropped because the stack is too deep. `depth` is the new depth.
        case forget
        /// A jump to another function replaces the innermost frame; `frame` is the jump. A tracker makes this step for
        /// a return that is used as a jump (a retpoline) and for the jump of a thunk. For other jumps, the caller makes
        /// it, if it knows functions.
        case tailCall

        /// The action's name as the tools print it.
        public var name: String {
            switch self {
            case .enter: "enter"
            case .leave: "leave"
            case .switchStack: "switch"
            case .reopen: "reopen"
            case .forget: "forget"
            case .tailCall: "tail-call"
            }
        }
    }

    /// The change.
    public var action: Action
    /// Why the tracker had to guess; nil if the branch explains the step.
    public var mark: Resynchronisation?
    /// The stack that is current after the step.
    public var stack: UInt32
    /// The number of frames that are open on it after the step.
    public var depth: UInt32
    /// The frame that the step is about.
    public var frame: CallFrame
    /// The clock of the branch.
    public var clock: UInt64
    /// Instructions begun before the target of the branch.
    public var icount: UInt64

    /// Makes a step.
    public init(
        action: Action, mark: Resynchronisation? = nil, stack: UInt32, depth: UInt32, frame: CallFrame, clock: UInt64,
        icount: UInt64
    ) {
        self.action = action
        self.mark = mark
        self.stack = stack
        self.depth = depth
        self.frame = frame
        self.clock = clock
        self.icount = icount
    }
}

/// Why the tracker had to find the open calls again.
public enum Resynchronisation: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    /// A return went to an outer caller: longjmp, an unwound exception, or returns that the log lacks.
    case unwound
    /// A return went to a place that no open frame called from, and a new stack begins there: a new task, a coroutine.
    case newStack
    /// A return left the outermost call that the log shows.
    case beneath
    /// An iret or sysret came while calls of its interruption were open.
    case leftOpen
    /// The guest came from user code while an earlier entry into the kernel was still open.
    case missedReturn
    /// Records are missing; the tracker starts without open calls.
    case gap
    /// The stack was deeper than the limit; its outermost half was dropped.
    case tooDeep

    /// The reason's name as the tools print it.
    public var name: String {
        switch self {
        case .unwound: "unwound"
        case .newStack: "new-stack"
        case .beneath: "beneath"
        case .leftOpen: "left-open"
        case .missedReturn: "missed-return"
        case .gap: "gap"
        case .tooDeep: "too-deep"
        }
    }
}

/// The counts of a tracker's observations.
public struct CallStatistics: Sendable, Hashable {
    /// Branches.
    public var branches: UInt64 = 0
    /// Calls.
    public var calls: UInt64 = 0
    /// Interrupts, exceptions and faults.
    public var interruptions: UInt64 = 0
    /// System calls and software interrupts.
    public var systemCalls: UInt64 = 0
    /// Changes from one stack to another known stack.
    public var switches: UInt64 = 0
    /// Returns that are used as jumps: retpolines and `push`, `ret`.
    public var returnsAsJumps: UInt64 = 0
    /// iret and sysret that do not resume the code that was left: signals, new programs, repaired faults.
    public var redirections: UInt64 = 0
    /// Returns from the kernel to user code, recognised by the halves of the address space.
    public var userReturns: UInt64 = 0
    /// The `userReturns` at which only the entry from user code was open, before any repair.
    public var levelUserReturns: UInt64 = 0
    /// The largest number of frames that were open at once.
    public var deepest = 0

    private var counts = [UInt64](repeating: 0, count: Resynchronisation.allCases.count)

    /// All counts are zero.
    public init() {}

    /// How often the tracker had to find the open calls again for a reason.
    public subscript(reason: Resynchronisation) -> UInt64 { counts[Int(reason.rawValue)] }

    /// How often the tracker had to find the open calls again.
    public var resynchronisations: UInt64 { counts.reduce(0, &+) }

    mutating func add(_ reason: Resynchronisation) { counts[Int(reason.rawValue)] &+= 1 }
}
