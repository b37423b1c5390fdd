// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The calls that are open at some point of a run, rebuilt from the branches before it.
///
/// A call pushes, a return pops down to the call that it returns from; an interrupt, exception or system call pushes
/// too, and its iret, sysret or sysexit pops. What was called before the first branch looked at is not known, and a
/// guest that switches stacks (a scheduler) leaves calls standing that are not open any more: the stack is a
/// reconstruction, and says how far back it looked.
public struct ShadowStack: Sendable, Hashable {
    /// How a frame was entered.
    public enum Entry: String, Sendable, Hashable {
        case call
        case systemCall = "system-call"
        case interruption
    }

    public struct Frame: Sendable, Hashable {
        public var entry: Entry
        /// The instruction that called, or that was interrupted.
        public var callSite: UInt64
        /// Where it went.
        public var target: UInt64
        /// Clock of the branch.
        public var clock: UInt64
    }

    /// The open calls, the innermost last.
    public private(set) var frames: [Frame] = []
    /// Branches that the stack was rebuilt from.
    public private(set) var branchesSeen: UInt64 = 0
    /// Returns that nothing seen explains: so many frames were open before the first branch, at least.
    public private(set) var unknownReturns: UInt64 = 0

    /// Frames that are kept at most; deeper recursion loses the outermost ones.
    private static let limit = 4096
    /// A return to at most so many bytes behind a call site returns from it.
    private static let callLength: UInt64 = 15

    public init() {}

    /// Takes the next branch into account.
    public mutating func append(_ branch: Branch) {
        branchesSeen += 1
        switch branch.label.branchClass {
        case .call, .callIndirect: push(.call, branch)
        case .ret: pop(to: branch.to)
        case .syscall, .sysenter, .int: push(.systemCall, branch)
        case .iret, .sysret, .sysexit, .rsm: popInterruption()
        default:
            if branch.label.isDiscontinuity { push(.interruption, branch) }
        }
    }

    private mutating func push(_ entry: Entry, _ branch: Branch) {
        if frames.count == ShadowStack.limit { frames.removeFirst(ShadowStack.limit / 2) }
        frames.append(Frame(entry: entry, callSite: branch.from, target: branch.to, clock: branch.clock))
    }

    /// Takes frames away down to the call that the address stands behind; a return that fits none of this interrupt's
    /// or system call's takes away the innermost call.
    private mutating func pop(to address: UInt64) {
        var index = frames.count - 1
        while index >= 0, frames[index].entry == .call {
            let distance = address &- frames[index].callSite
            if distance > 0, distance <= ShadowStack.callLength {
                frames.removeSubrange(index...)
                return
            }
            index -= 1
        }
        if frames.last?.entry == .call {
            frames.removeLast()
        } else {
            unknownReturns += 1
        }
    }

    /// Takes away the innermost interrupt or system call, and the calls made inside it.
    private mutating func popInterruption() {
        guard let index = frames.lastIndex(where: { $0.entry != .call }) else {
            unknownReturns += 1
            return
        }
        frames.removeSubrange(index...)
    }
}
