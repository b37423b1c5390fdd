// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A call, interruption or system call that is open.
public struct CallFrame: Hashable, Sendable, BitwiseCopyable {
    /// How a frame was entered.
    public enum Kind: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
        case call
        /// An interrupt, an exception or a fault: the return goes to the instruction that was left, or behind it.
        case interruption
        case systemCall
        /// `int n`.
        case softwareInterrupt
        /// A return from the kernel to a place that nothing open explains: a new task, a new program, a signal handler.
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
    /// Where it went.
    public var target: UInt64
    /// Clock of the branch.
    public var clock: UInt64
    /// Instructions begun before the one at `target`; 0 in a log without counts.
    public var icount: UInt64
    /// Of the branch.
    public var label: BranchLabel
    public var kind: Kind
    /// Its function is known to return on other stacks than its own: a scheduler's switch.
    var isSwitch = false
    /// A start in the place of what was interrupted: a signal handler, a new program.
    var isRedirection = false

    /// Frame for a branch that calls or interrupts.
    public init(_ kind: Kind, _ branch: Branch) {
        callSite = branch.from
        target = branch.to
        clock = branch.clock
        icount = branch.icount
        label = branch.label
        self.kind = kind
    }

    /// Call instructions have 2 to 9 bytes (two prefixes); with prefixes that mean nothing, 15.
    private static let longestCall: UInt64 = 15

    /// Whether a return to `address` returns from the call beyond reasonable doubt: a direct call has 5 bytes in 64- and
    /// 32-bit code, an indirect one 2 to 9.
    @inline(__always)
    func fits(_ address: UInt64) -> Bool {
        let distance = address &- callSite
        guard kind == .call else { return false }
        return label.classNumber == BranchClass.call.rawValue ? distance == 5 : distance &- 2 <= 7
    }

    /// Whether a return to `address` may return from the call: 16-bit code, unusual prefixes.
    func mayFit(_ address: UInt64) -> Bool {
        kind == .call && address &- callSite &- 2 <= CallFrame.longestCall - 2
    }

    /// Whether an iret or sysret to `address` goes back to where this interruption or system call came from. One that came
    /// behind a branch, whose target had not begun, may go back anywhere.
    func resumes(_ address: UInt64) -> Bool {
        switch kind {
        case .call, .start: false
        case .interruption: address &- callSite <= 15 || isBehindBranch
        case .systemCall, .softwareInterrupt: address &- callSite &- 1 <= 14
        }
    }

    /// The interruption came behind a branch instruction, or the instruction faulted.
    var isBehindBranch: Bool {
        guard kind == .interruption else { return false }
        switch label.branchClass {
        case .none, .hlt, .rep, .unknown: return false
        default: return true
        }
    }

    /// The interruption came behind an iret, sysret, sysexit or rsm.
    var isBehindReturn: Bool {
        guard kind == .interruption else { return false }
        switch label.branchClass {
        case .iret, .sysret, .sysexit, .rsm: return true
        default: return false
        }
    }

    /// A call over a few bytes: retpolines and the stuffing of return predictors, whose return is never meant to come.
    var isShortHop: Bool { kind == .call && target &- callSite <= 48 }
}
