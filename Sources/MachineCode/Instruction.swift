// SPDX-License-Identifier: GPL-2.0-or-later

import Symbolize

/// How an instruction passes control on. The numbers are those of a log's labels (`enum ttlog_branch_class`).
public enum ControlFlow: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    /// To the next instruction; an exception or an interrupt may leave any instruction.
    case next = 0
    /// Conditional jump, loop, jrcxz.
    case jcc
    case jmp
    case jmpIndirect
    case call
    case callIndirect
    case ret
    /// Far jmp, call, ret.
    case far
    case iret
    /// int n, int3, int1, into.
    case int
    case syscall
    case sysret
    case sysenter
    case sysexit
    case hlt
    /// A string instruction with a repeat prefix: each iteration begins it once more.
    case rep
    case rsm
}

/// How code is read: the size of the code segment's default operands and addresses.
public enum CodeMode: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case bits16 = 16
    case bits32 = 32
    case bits64 = 64
}

/// One instruction, decoded.
public struct Instruction: Hashable, Sendable, BitwiseCopyable {
    /// Its address in the run.
    public var address: UInt64
    /// Where its own bytes say that it goes, when it is a direct jump or call; else 0.
    public var target: UInt64
    /// Its bytes, 1 … 15.
    public var size: UInt8
    public var flow: ControlFlow
    /// Whether `target` is known.
    public var hasTarget: Bool
    /// How it was read.
    public var mode: CodeMode
    /// It always raises an exception (ud2 and the like).
    public var alwaysFaults: Bool

    /// No instruction: 0 bytes long, which none is.
    public static let none = Instruction(
        address: 0, target: 0, size: 0, flow: .next, hasTarget: false, mode: .bits64, alwaysFaults: false)

    /// The address behind it.
    public var fallThrough: UInt64 { address &+ UInt64(size) }

    /// Whether the next instruction to begin can be the one behind it. A jump or call to there counts; so does an
    /// indirect one, which may go anywhere.
    public var canFallThrough: Bool {
        switch flow {
        case .jmp, .call: hasTarget && target == fallThrough
        case .int: false
        default: !alwaysFaults
        }
    }
}
