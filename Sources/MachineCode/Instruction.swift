// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// How code is read: the size of the code segment's default operands and addresses.
public enum CodeMode: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    /// Real mode and 16-bit segments.
    case bits16 = 16
    /// 32-bit segments.
    case bits32 = 32
    /// 64-bit segments (long mode).
    case bits64 = 64
}

/// One instruction, decoded.
public struct Instruction: Hashable, Sendable, BitwiseCopyable {
    /// Its address in the run.
    public var address: UInt64
    /// The target in its own bytes if it is a direct jump or call, else 0.
    public var target: UInt64
    /// Its bytes, 1 … 15.
    public var size: UInt8
    /// How it passes control on: `none` if to the next instruction, `rep` if each iteration of it begins it once more.
    public var branchClass: BranchClass
    /// Whether `target` is known.
    public var hasTarget: Bool
    /// How it was read.
    public var mode: CodeMode
    /// Whether it always raises an exception (ud2 and similar ones).
    public var alwaysFaults: Bool

    /// No instruction: 0 bytes long, which none is.
    public static let none = Instruction(
        address: 0, target: 0, size: 0, branchClass: .none, hasTarget: false, mode: .bits64, alwaysFaults: false)

    /// The address after it.
    public var fallThrough: UInt64 { address &+ UInt64(size) }

    /// Whether the next instruction to begin can be the one after it. A jump or call to there counts; so does an
    /// indirect one, which may go anywhere.
    public var canFallThrough: Bool {
        switch branchClass {
        case .jmp, .call: hasTarget && target == fallThrough
        case .int: false
        default: !alwaysFaults
        }
    }
}
