// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The class of the instruction at a branch's origin, taken from its bytes (`enum ttlog_branch_class`).
public enum BranchClass: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    /// Not a control-transfer instruction: an exception or an interrupt left it.
    case none = 0
    /// Conditional jump, loop, jrcxz.
    case jcc
    /// Direct jump.
    case jmp
    /// Jump through a register or memory.
    case jmpIndirect
    /// Direct call.
    case call
    /// Call through a register or memory.
    case callIndirect
    /// Near return.
    case ret
    /// Far jmp, call, ret.
    case far
    /// Return from an interrupt.
    case iret
    /// int n, int3, int1, into.
    case int
    /// System call.
    case syscall
    /// Return from `syscall`.
    case sysret
    /// System call of 32-bit code.
    case sysenter
    /// Return from `sysenter`.
    case sysexit
    /// Halt until an interrupt.
    case hlt
    /// String instruction with a repeat prefix.
    case rep
    /// Return from system-management mode.
    case rsm
    /// The recorder did not see the instruction, or its class is unknown to this reader.
    case unknown = 31

    /// The class's name as the tools print it.
    public var name: String {
        switch self {
        case .none: "none"
        case .jcc: "jcc"
        case .jmp: "jmp"
        case .jmpIndirect: "jmp-indirect"
        case .call: "call"
        case .callIndirect: "call-indirect"
        case .ret: "ret"
        case .far: "far"
        case .iret: "iret"
        case .int: "int"
        case .syscall: "syscall"
        case .sysret: "sysret"
        case .sysenter: "sysenter"
        case .sysexit: "sysexit"
        case .hlt: "hlt"
        case .rep: "rep"
        case .rsm: "rsm"
        case .unknown: "unknown"
        }
    }
}

/// The label of a branch: the class of the instruction at `from`, and whether its static target is `to`.
public struct BranchLabel: RawRepresentable, Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The class in bits 0 to 4, and the bit for a static target.
    public var rawValue: UInt8

    /// The label of those bits.
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The label of a class.
    public init(_ branchClass: BranchClass, hasStaticTarget: Bool = false) {
        rawValue = branchClass.rawValue | (hasStaticTarget ? UInt8(TTLOG_LABEL_STATIC) : 0)
    }

    /// The class's number as the log has it (`enum ttlog_branch_class`), known to this reader or not.
    public var classNumber: UInt8 { rawValue & UInt8(TTLOG_LABEL_CLASS_MASK) }

    /// The class; `unknown` for a number that this reader does not know.
    public var branchClass: BranchClass { BranchClass(rawValue: classNumber) ?? .unknown }

    /// The static target in the instruction's bytes is where the branch went.
    public var hasStaticTarget: Bool { rawValue & UInt8(TTLOG_LABEL_STATIC) != 0 }

    /// No branch instruction explains the transition: an interrupt, an exception or a fault made it.
    public var isDiscontinuity: Bool { ttlog_label_is_discontinuity(rawValue) != 0 }

    /// The class's name, with `!` when the static target explains the branch: `jcc!`, `ret`, `none`.
    public var name: String { branchClass.name + (hasStaticTarget ? "!" : "") }

    /// The label's ``name``.
    public var description: String { name }

    /// The label of that name; nil when there is none.
    public init?(name: String) {
        let hasStaticTarget = name.hasSuffix("!")
        let bare = hasStaticTarget ? String(name.dropLast()) : name
        guard let branchClass = BranchClass.allCases.first(where: { $0.name == bare }) else { return nil }
        self.init(branchClass, hasStaticTarget: hasStaticTarget)
    }
}

/// One transition between instructions that began executing.
///
/// The branch with clock n takes the counter from n to n + 1.
public struct Branch: Hashable, Sendable, BitwiseCopyable {
    /// Transitions that its vCPU made before this one.
    public var clock: UInt64
    /// Address of the instruction that the branch left.
    public var from: UInt64
    /// Address of the first instruction after the branch.
    public var to: UInt64
    /// Instructions begun before the one at `to`; 0 in a log without instruction counts.
    public var icount: UInt64
    /// The label of the instruction at `from`.
    public var label: BranchLabel

    /// Makes a branch.
    public init(clock: UInt64, from: UInt64, to: UInt64, icount: UInt64, label: BranchLabel) {
        self.clock = clock
        self.from = from
        self.to = to
        self.icount = icount
        self.label = label
    }
}
