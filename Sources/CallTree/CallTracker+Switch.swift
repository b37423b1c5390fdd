// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// MARK: - Other stacks
extension CallTracker {
    private static let switchLimit = 32
    /// The number of frames of the previous stack that are searched.
    private static let searchBefore = 64

    /// Corrects the guess that was made at the last switch. Finds the stack whose frames fit all returns since then,
    /// and this one. The frame that the return fits becomes the innermost.
    mutating func takeSwitch(_ branch: Branch) -> Bool {
        guard lowWater >= 0, count == lowWater, !undone.isEmpty else { return false }
        for index in suspended.slots.indices.reversed() where fits(suspended.slots[index], branch) {
            let popped = undone.count
            putBack(branch)
            change(to: index, branch)
            lowWater = count
            pop(to: count - popped, branch)
            return true
        }
        return false
    }

    /// Finds a stack that was left by a switch, or by a jump that looked like one, and whose innermost frame the return
    /// fits.
    mutating func resumeByTop(_ branch: Branch) -> Bool {
        for index in suspended.slots.indices.reversed() {
            let slot = suspended.slots[index]
            guard slot.count > 0, CallTracker.fits(slot.frames[slot.count - 1], branch) else { continue }
            settle()
            let wasJump = count == 0 && stack == lastBegun
            change(to: index, branch)
            if wasJump { forgetSwitch() }
            return true
        }
        return false
    }

    /// Takes a return that leaves the newest stack for a caller on the stack before it: the return that began the
    /// newest stack was a jump.
    mutating func resumeBefore(_ branch: Branch) -> Bool {
        let last = suspended.slots.count - 1
        guard last >= 0, count == 0, stack == lastBegun else { return false }
        let slot = suspended.slots[last]
        let end = Swift.max(0, slot.count - CallTracker.searchBefore)
        for index in stride(from: slot.count - 1, through: end, by: -1) where slot.frames[index].fits(branch.to) {
            settle()
            change(to: last, branch)
            forgetSwitch()
            pop(to: index, branch, .unwound)
            return true
        }
        return false
    }

    /// Drops the newest stack if nothing was called on it: its beginning was a jump, and the function that jumped does
    /// not switch stacks.
    private mutating func forgetSwitch() {
        guard frames[count - 1].isSwitch, switches.last == frames[count - 1].target else { return }
        switches.removeLast()
        frames[count - 1].isSwitch = false
    }

    /// Whether a return fits a frame.
    private static func fits(_ frame: CallFrame, _ branch: Branch) -> Bool {
        branch.label.branchClass == .ret
            ? frame.fits(branch.to) : frame.resumes(branch.to) && !frame.followsBranch
    }

    private func fits(_ slot: StackTable.Slot, _ branch: Branch) -> Bool {
        guard slot.count > undone.count else { return false }
        guard CallTracker.fits(slot.frames[slot.count - 1 - undone.count], branch) else { return false }
        for (distance, frame) in undone.enumerated() {
            let other = slot.frames[slot.count - 1 - distance]
            guard other.callSite == frame.callSite, other.kind == frame.kind else { return false }
        }
        return true
    }

    /// Opens the frames that were popped since the switch again: they belong to another stack.
    private mutating func putBack(_ branch: Branch) {
        guard undone.count <= capacity - count else { return settle() }
        for frame in undone.reversed() {
            frames[count] = frame
            count += 1
            step(.reopen, frame, clock: branch.clock, icount: branch.icount)
        }
        settle()
    }

    /// Suspends the current stack and continues on a suspended one.
    private mutating func change(to index: Int, _ branch: Branch) {
        let slot = suspended.take(at: index)
        suspend()
        (frames, count, capacity, stack) = (slot.frames, slot.count, slot.capacity, slot.id)
        note { $0.switches &+= 1 }
        step(.switchStack, .none, clock: branch.clock, icount: branch.icount)
    }

    /// Suspends the current stack, or drops it if it has no frames. The caller gives the tracker new memory.
    private mutating func suspend() {
        if count == 0 {
            frames.deallocate()
        } else {
            suspended.add(StackTable.Slot(id: stack, frames: frames, count: count, capacity: capacity))
        }
    }

    /// Takes a return to a place that no open frame called from. A function that does so once can switch stacks again.
    mutating func beginStack(_ branch: Branch) {
        while count > 0, frames[count - 1].isShortHop { pop(to: count - 1, branch) }
        if count > 0, frames[count - 1].kind == .call {
            frames[count - 1].isSwitch = true
            learnSwitch(frames[count - 1].target)
        }
        settle()
        suspend()
        capacity = 64
        frames = .allocate(capacity: capacity)
        count = 0
        stack = nextStack
        lastBegun = stack
        nextStack &+= 1
        note { $0.add(.newStack) }
        step(.switchStack, .none, .newStack, clock: branch.clock, icount: branch.icount)
    }

    private mutating func learnSwitch(_ function: UInt64) {
        guard !switches.contains(function) else { return }
        if switches.count == CallTracker.switchLimit { switches.removeFirst() }
        switches.append(function)
        switchFilter |= 1 << (function >> 4 & 63)
    }
}
