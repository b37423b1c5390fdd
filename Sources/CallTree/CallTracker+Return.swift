// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// MARK: - Returns
extension CallTracker {
    /// The number of frames of a stack that are searched for an outer caller.
    private static let searchLimit = 1024
    /// The largest distance, in bytes, of a `ret` that counts as a jump if no open frame called from its target.
    private static let nearJump: UInt64 = 64

    /// Takes a return that the innermost frame does not explain directly.
    mutating func takeReturn(_ branch: Branch) {
        let address = branch.to
        if let frame = top, frame.fits(address) {
            takeReturn(from: count - 1, branch)
            return
        }
        if handlers.contains(address) {
            interrupt(branch)
            return
        }
        if takeStuffedReturn(branch) { return }
        if isJump(branch) {
            note { $0.returnsAsJumps &+= 1 }
            pop(to: count - 1, branch)
            // The frame is that of the function which the jump reaches, not that of a thunk.
            retarget(address)
            if count > 0 { step(.tailCall, CallFrame(.call, branch), clock: branch.clock, icount: branch.icount) }
            return
        }
        if takeSwitch(branch) {
            takeReturn(from: count - 1, branch)
            return
        }
        if let index = caller(address, within: true) {
            let isInnermost = index == count - 1
            isInnermost ? takeReturn(from: index, branch) : pop(to: index, branch, .unwound)
            return
        }
        if address &- branch.from &+ CallTracker.nearJump <= 2 * CallTracker.nearJump {
            note { $0.returnsAsJumps &+= 1 }
            return
        }
        if resumeByTop(branch) {
            takeReturn(from: count - 1, branch)
            return
        }
        if let index = caller(address, within: false) {
            pop(to: index, branch, .unwound)
            return
        }
        if let frame = top, frame.kind != .start {
            beginStack(branch)
        } else if let frame = top, frame.isRedirection {
            // A signal handler returns to code that no open frame called from.
            note { $0.returnsAsJumps &+= 1 }
        } else if !resumeBefore(branch) {
            note { $0.add(.beneath) }
            step(.leave, .none, .beneath, clock: branch.clock, icount: branch.icount)
        }
    }

    /// Whether an unexplained return is the end of a retpoline: a `call` over a few bytes, `mov [rsp]`, `ret`.
    private func isJump(_ branch: Branch) -> Bool {
        guard let frame = top, frame.kind == .call, !frame.mayFit(branch.to) else { return false }
        let distance = branch.clock &- frame.clock
        if distance == 1, branch.from &- frame.target <= 8 { return true }
        // After a jump to the return that all functions share.
        if distance <= 2, frame.isShortHop { return true }
        // The same after an interrupt. Code that fills the return predictor makes many such calls.
        guard frame.isShortHop else { return false }
        guard count > 1 else { return true }
        let caller = frames[count - 2]
        return !caller.isShortHop && !caller.isSwitch && !caller.mayFit(branch.to)
    }

    /// Takes a far branch. One that goes to the instruction after the innermost call is a return; others are jumps. The
    /// label does not distinguish them.
    mutating func takeFar(_ branch: Branch) {
        if handlers.contains(branch.to) {
            interrupt(branch)
        } else if let frame = top,
            frame.kind == .call
                ? frame.mayFit(branch.to)
                : frame.kind == .softwareInterrupt
                    && frame.resumes(branch.to)
        {
            pop(to: count - 1, branch)
        }
    }

    /// Pops the frame at `index`, which the return fits. After a function that switches, the stack can be another one.
    private mutating func takeReturn(from index: Int, _ branch: Branch) {
        let isSwitch = frames[index].isSwitch
        if isSwitch {
            settle()
            lowWater = index + 1
        }
        pop(to: index, branch)
    }

    /// Whether all frames above the caller are calls over a few bytes that nothing returned from.
    private mutating func takeStuffedReturn(_ branch: Branch) -> Bool {
        var index = count
        while index > 0, frames[index - 1].isShortHop { index -= 1 }
        guard index > 0, index < count else { return false }
        let frame = frames[index - 1]
        guard frame.fits(branch.to) else { return false }
        pop(to: index, branch)
        takeReturn(from: index - 1, branch)
        return true
    }

    /// The frame that a return to `address` returns from: the innermost one that fits, else the innermost one that may
    /// fit.
    ///
    /// - Parameter within: whether to search only the frames of this interruption or system call, or else the outer
    ///   frames.
    private func caller(_ address: UInt64, within: Bool) -> Int? {
        let end = Swift.max(0, count - CallTracker.searchLimit)
        var possible: Int?
        var isOutside = false
        for index in stride(from: count - 1, through: end, by: -1) {
            if frames[index].kind != .call {
                if within { break }
                isOutside = true
            } else if within || isOutside {
                if frames[index].fits(address) { return index }
                if within, possible == nil, frames[index].mayFit(address) { possible = index }
            }
        }
        return possible
    }
}
