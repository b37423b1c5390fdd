// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Back over a call, in one jump.
///
/// gdb steps back over a call so: one step back into the function's return, a breakpoint at the function's first instruction, and
/// back to that breakpoint until the stack pointer fits. In a function that calls itself these are as many ways back as it has
/// calls. The log's calls and returns show which entry belongs to the return.
extension TravelSession {
    /// Transitions that are searched for the call.
    private static let callReach: UInt64 = 1 << 22
    private static let blockSize: UInt64 = 1 << 16

    /// From before a return instruction, goes back to the entry of the function that it returns from, if that is at an
    /// address and no other one of some addresses may have been executed since.
    ///
    /// Returns false, with the guest where it was, if the log does not show it.
    func goBackToEntry(at entry: UInt64, unless others: Set<UInt64>) throws -> Bool {
        let origin = current
        let here = try position()
        guard let brctr = here.brctr, let ip = here.ip, let stack = try registers()["RSP"],
            let call = try callReturning(at: brctr, from: ip, of: entry)
        else { return false }
        if let stretch = try lastStretch(with: Array(others), before: brctr, ip: ip, after: call &+ 1),
            stretch.brctr > call
        {
            return false
        }
        try go(to: places.destination(brctr: call &+ 1))
        // The return address is at the top of the stack at the entry and before the return.
        if try registers()["RSP"] == stack { return true }
        try go(to: origin)
        return false
    }

    /// The clock of the call of a function that the return with this clock ends; nil if the log shows none.
    private func callReturning(at clock: UInt64, from ip: UInt64, of entry: UInt64) throws -> UInt64? {
        guard clock < places.end.brctr else { return nil }
        var cursor = places.log.branches(from: clock, to: clock &+ 1)
        guard let back = cursor.next(), back.from == ip, back.label.branchClass == .ret else { return nil }
        var depth = 1
        var end = clock
        while end > 0, clock - end < TravelSession.callReach {
            let start = end > TravelSession.blockSize ? end - TravelSession.blockSize : 0
            for branch in branches(from: start, to: end).reversed() {
                // The kernel's calls and returns between those of a program are its own.
                guard TravelSession.isUser(branch.from) == TravelSession.isUser(back.from), try isFollowed(branch)
                else {
                    continue
                }
                switch branch.label.branchClass {
                case .ret: depth += 1
                case .call, .callIndirect: depth -= 1
                default: continue
                }
                guard depth == 0 else { continue }
                // The longest instruction has 15 bytes.
                let isCall = branch.to == entry && back.to > branch.from && back.to - branch.from <= 15
                return isCall ? branch.clock : nil
            }
            end = start
        }
        return nil
    }

    private func branches(from start: UInt64, to end: UInt64) -> [Branch] {
        var cursor = places.log.branches(from: start, to: end)
        var list: [Branch] = []
        while let branch = cursor.next() { list.append(branch) }
        return list
    }
}
