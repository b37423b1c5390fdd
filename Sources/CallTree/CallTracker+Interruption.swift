// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// MARK: - Interrupts, exceptions, system calls
extension CallTracker {
    /// The first address of the upper half, which most guests reserve for the kernel.
    private static let upperHalf: UInt64 = 1 << 63
    /// The number of frames that are searched for an outer entry.
    private static let entrySearchLimit = 1024

    mutating func interrupt(_ branch: Branch) {
        if branch.label.isDiscontinuity { handlers.insert(branch.to) }
        enterKernel(branch)
        note { $0.interruptions &+= 1 }
        push(CallFrame(.interruption, branch))
    }

    /// Handles an entry from user code into the kernel: no earlier entry from user code can still be open.
    mutating func enterKernel(_ branch: Branch) {
        guard branch.from < CallTracker.upperHalf, branch.to >= CallTracker.upperHalf,
            let index = innermostEntry(), CallTracker.isFromUser(frames[index])
        else { return }
        pop(to: index, branch, .missedReturn)
    }

    private static func isFromUser(_ frame: CallFrame) -> Bool {
        frame.kind != .start && frame.callSite < upperHalf && frame.target >= upperHalf
    }

    /// The innermost frame that is not a call.
    private func innermostEntry() -> Int? {
        var index = count - 1
        while index >= 0, frames[index].kind == .call { index -= 1 }
        return index >= 0 ? index : nil
    }

    /// iret, sysret, sysexit, rsm.
    mutating func takeInterruptReturn(_ branch: Branch) {
        if handlers.contains(branch.to) {
            // The fetch of the instruction that it returns to faulted.
            interrupt(branch)
            return
        }
        var next: Branch? = branch
        while let branch = next { next = resume(branch) }
    }

    /// Resumes the code that an entry left. If the entry came after a branch that is itself a return from an
    /// interruption, returns that branch with its real target.
    private mutating func resume(_ branch: Branch) -> Branch? {
        let address = branch.to
        let isToUser = branch.from >= CallTracker.upperHalf && address < CallTracker.upperHalf
        var index = innermostEntry()
        if !(index.map { frames[$0].resumes(address) } ?? false), takeSwitch(branch) || resumeByTop(branch) {
            index = innermostEntry()
        }
        // After an iret whose target could not be fetched, the real return is still to come.
        let isDeferred = index.map { $0 == count - 1 && frames[$0].followsReturn && frames[$0].callSite != address }
        if isToUser, isDeferred != true {
            let isLevel = index.map { $0 == count - 1 && CallTracker.isFromUser(frames[$0]) } ?? (count == 0)
            note {
                $0.userReturns &+= 1
                if isLevel { $0.levelUserReturns &+= 1 }
            }
        }
        guard let index else {
            start(branch, over: isToUser ? 0 : count)
            return nil
        }
        let frame = frames[index]
        if !frame.resumes(address), let outer = outerEntry(address, below: index) {
            // A signal handler's frame ends here; other frames are abandoned.
            pop(to: outer, branch, frames[outer].kind == .start ? nil : .unwound)
            return nil
        }
        if frame.kind == .start {
            start(branch, over: isToUser ? index + 1 : count)
            return nil
        }
        pop(to: index, branch, index == count - 1 ? nil : .leftOpen)
        if frame.resumes(address) {
            return address == frame.callSite ? nil : complete(frame, branch)
        }
        note { $0.redirections &+= 1 }
        if isToUser { start(branch, over: count, insteadOf: frame) }
        return nil
    }

    /// Begins a task, a program or a signal handler. The frames above a depth are abandoned.
    private mutating func start(_ branch: Branch, over depth: Int, insteadOf interrupted: CallFrame? = nil) {
        pop(to: depth, branch, .leftOpen)
        var frame = CallFrame(.start, branch)
        if let interrupted {
            frame.callSite = interrupted.callSite
            frame.isRedirection = true
        }
        push(frame)
    }

    /// An outer entry, or the start of a signal handler, that certainly left the code at an address.
    private func outerEntry(_ address: UInt64, below index: Int) -> Int? {
        let end = Swift.max(0, index - CallTracker.entrySearchLimit)
        for outer in stride(from: index - 1, through: end, by: -1) {
            let frame = frames[outer]
            let fits =
                frame.kind == .start
                ? address &- frame.callSite <= 15 : frame.resumes(address) && !frame.followsBranch
            if fits { return outer }
        }
        return nil
    }

    /// Applies the branch that an interruption cut off. Its target is the address that the interruption returns to.
    private mutating func complete(_ frame: CallFrame, _ branch: Branch) -> Branch? {
        guard frame.followsBranch else { return nil }
        let cut = Branch(
            clock: branch.clock, from: frame.callSite, to: branch.to, icount: branch.icount, label: frame.label)
        switch frame.label.branchClass {
        case .call, .callIndirect: call(cut)
        case .ret: takeReturn(cut)
        case .far: takeFar(cut)
        case .syscall, .sysenter: push(CallFrame(.systemCall, cut))
        case .int: push(CallFrame(.softwareInterrupt, cut))
        case .iret, .sysret, .sysexit, .rsm: return cut
        default: break
        }
        return nil
    }
}
