// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A call, interruption or system call that is open.
public struct CallFrame: Hashable, Sendable, BitwiseCopyable {
    /// How a frame was entered.
    public enum Kind: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
        /// By a call.
        case call
        /// An interrupt, an exception or a fault. It returns to the instruction that was left, or to the one after it.
        case interruption
        /// By syscall or sysenter.
        case systemCall
        /// By `int n`.
        case softwareInterrupt
        /// A return from the kernel to a place that no open frame explains: a new task, a new program, a signal
        /// handler.
        case start

        /// The kind's name as the tools print it.
        public var name: String {
            switch self {
            case .call: "call"
            case .interruption: "interruption"
            case .systemCall: "system-call"
            case .softwareInterrupt: "software-interrupt"
            case .start: "start"
            }
        }
    }

    /// The instruction that called, or that was interrupted.
    public var callSite: UInt64
    /// The address that was called.
    public var target: UInt64
    /// Clock of the branch.
    public var clock: UInt64
    /// Instructions begun before the one at `target`; 0 in a log without counts.
    public var icount: UInt64
    /// The label of the branch.
    public var label: BranchLabel
    /// How the frame was entered.
    public var kind: Kind
    /// Whether the function is known to return on stacks other than its own: a scheduler's switch.
    var isSwitch = false
    /// Whether the frame replaces the code that was interrupted: a signal handler, a new program.
    var isRedirection = false

    /// A frame for a branch that calls or interrupts.
    public init(_ kind: Kind, _ branch: Branch) {
        callSite = branch.from
        target = branch.to
        clock = branch.clock
        icount = branch.icount
        label = branch.label
        self.kind = kind
    }

    /// The longest call instruction, in bytes. Usual ones have 2 to 9; redundant prefixes extend one to 15.
    private static let longestCall: UInt64 = 15

    /// Whether a return to `address` certainly returns from the call. In 64- and 32-bit code a direct call has 5 bytes
    /// and an indirect call has 2 to 9.
    @inline(__always)
    func fits(_ address: UInt64) -> Bool {
        let distance = address &- callSite
        guard kind == .call else { return false }
        return label.classNumber == BranchClass.call.rawValue ? distance == 5 : distance &- 2 <= 7
    }

    /// Whether a return to `address` can return from the call, if 16-bit code and unusual prefixes are included.
    func mayFit(_ address: UInt64) -> Bool {
        kind == .call && address &- callSite &- 2 <= CallFrame.longestCall - 2
    }

    /// Whether an iret or sysret to `address` resumes the code that this interruption or system call left. After a
    /// branch whose target had not begun, the code can resume at any address.
    func resumes(_ address: UInt64) -> Bool {
        switch kind {
        case .call, .start: false
        case .interruption: address &- callSite <= 15 || followsBranch
        case .systemCall, .softwareInterrupt: address &- callSite &- 1 <= 14
        }
    }

    /// Whether the interruption came after a branch instruction, or the branch instruction faulted.
    var followsBranch: Bool {
        guard kind == .interruption else { return false }
        switch label.branchClass {
        case .none, .hlt, .rep, .unknown: return false
        default: return true
        }
    }

    /// Whether the interruption came after an iret, sysret, sysexit or rsm.
    var followsReturn: Bool {
        guard kind == .interruption else { return false }
        switch label.branchClass {
        case .iret, .sysret, .sysexit, .rsm: return true
        default: return false
        }
    }

    /// Whether the call skips only a few bytes. Retpolines and the filling of return predictors do so; no return
    /// follows.
    var isShortHop: Bool { kind == .call && target &- callSite <= 48 }
}
