// SPDX-License-Identifier: GPL-2.0-or-later

/// What a branch did to the open calls. One branch makes none, one, or a few.
public struct CallStep: Sendable, Hashable, BitwiseCopyable {
    public enum Action: UInt8, Sendable, Hashable, BitwiseCopyable {
        /// `frame` was pushed.
        case enter
        /// Frames were popped down to `depth`; `frame` is the outermost of them.
        case leave
        /// Another stack goes on; `stack` and `depth` are its own. `frame` means nothing.
        case switchStack
        /// `frame` stands again on stack `stack`: it had been popped in the belief that the stack was another.
        case reopen
        /// The outermost frames were forgotten: the stack is too deep. `depth` is the new one.
        case forget
        /// A jump to another function stands for the innermost frame from here on; `frame` is the jump. A tracker makes
        /// this step of a return used as a jump (a retpoline); of other jumps only those who know functions can.
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

    public var action: Action
    /// Why a guess was needed; nil in a step that the branch explains.
    public var mark: Resynchronisation?
    /// Stack that is current after the step.
    public var stack: UInt32
    /// Frames open on it after the step.
    public var depth: UInt32
    public var frame: CallFrame
    /// Clock of the branch.
    public var clock: UInt64
    /// Instructions begun before the one that the branch went to.
    public var icount: UInt64

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

/// Why the open calls had to be found again.
public enum Resynchronisation: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    /// A return went to a caller further out: longjmp, an unwound exception, or returns that the log lacks.
    case unwound
    /// A return went to where nothing open called from, and a stack of its own begins there: a new task, a coroutine.
    case newStack
    /// A return went beyond the outermost call that the log shows.
    case beneath
    /// An iret or sysret came while calls of its interruption were open.
    case leftOpen
    /// The guest came from user code while an earlier entry into the kernel was still open.
    case missedReturn
    /// Records are missing; everything begins anew.
    case gap
    /// The stack was deeper than is kept; its outermost half was forgotten.
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

/// What a tracker has seen.
public struct CallStatistics: Sendable, Hashable {
    public var branches: UInt64 = 0
    public var calls: UInt64 = 0
    public var interruptions: UInt64 = 0
    public var systemCalls: UInt64 = 0
    /// Changes from one stack to another that is known.
    public var switches: UInt64 = 0
    /// Returns used as jumps: retpolines and `push`, `ret`.
    public var returnsAsJumps: UInt64 = 0
    /// iret and sysret that went elsewhere than where their entry came from: signals, new programs, repaired faults.
    public var redirections: UInt64 = 0
    /// Returns from the kernel to user code, told by the halves of the address space.
    public var userReturns: UInt64 = 0
    /// Of these, the ones at which exactly the entry from user code was open, before anything was repaired.
    public var levelUserReturns: UInt64 = 0
    /// Frames open at most at once.
    public var deepest = 0

    private var counts = [UInt64](repeating: 0, count: Resynchronisation.allCases.count)

    public init() {}

    /// How often the calls had to be found again for a reason.
    public subscript(reason: Resynchronisation) -> UInt64 { counts[Int(reason.rawValue)] }

    /// How often in all.
    public var resynchronisations: UInt64 { counts.reduce(0, &+) }

    mutating func add(_ reason: Resynchronisation) { counts[Int(reason.rawValue)] &+= 1 }
}
