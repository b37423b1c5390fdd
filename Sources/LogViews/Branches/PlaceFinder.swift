// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Finds the branches with which a vCPU visits a place.
///
/// A branch visits an address if it goes there, or if the address is in the straight run of instructions that it ends,
/// after the first of them: the previous branch visited that one. If the previous branch is not known (at the beginning,
/// after a gap), a branch visits the addresses that it goes to and that it leaves.
struct PlaceFinder {
    private var previous: (to: UInt64, clock: UInt64, epoch: UInt32)?

    /// Forgets the previous branch: the next one does not follow it.
    mutating func forget() { previous = nil }

    /// The first branch of a range that visits the place; `nil` if none does. The search continues after that branch,
    /// or after the range.
    mutating func visit(of place: BranchSelection.Place, _ batch: borrowing BranchBatch, _ range: Range<Int>) -> Int? {
        var found: Int?
        for address in place.addresses {
            let end = found ?? range.upperBound
            found = visit(of: address, from: place.brctr, batch, range.lowerBound..<end) ?? found
        }
        let last = found ?? range.upperBound - 1
        previous = (batch.to[last], batch.clockFirst &+ UInt64(last), batch.epoch)
        return found
    }

    private func visit(
        of address: UInt64, from brctr: UInt64, _ batch: borrowing BranchBatch, _ range: Range<Int>
    ) -> Int? {
        guard var index = range.first else { return nil }
        let (from, to) = (batch.from, batch.to)
        let clock = batch.clockFirst &+ UInt64(index)
        var begin: UInt64 = from[index] == address && from[index] > 0 ? address &- 1 : .max
        if let previous, previous.clock &+ 1 == clock, previous.epoch == batch.epoch { begin = previous.to }
        if clock < brctr {
            let ahead = min(brctr - clock, UInt64(range.count))
            index += Int(ahead)
            guard index < range.upperBound else { return nil }
            begin = to[index - 1]
        }
        while index < range.upperBound {
            if to[index] == address || (begin < address && address <= from[index]) { return index }
            begin = to[index]
            index &+= 1
        }
        return nil
    }
}
