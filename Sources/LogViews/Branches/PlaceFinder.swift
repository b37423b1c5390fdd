// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Finds the branches with which a vCPU visits a place.
///
/// A branch visits an address when it goes there, or when the address lies in the straight run of instructions that it ends,
/// behind the first of them: to that first one the branch before had gone. Where the branch before is not known (the
/// first one that is read, behind a gap) it visits what it goes to and what it leaves.
struct PlaceFinder {
    private var previous: (to: UInt64, clock: UInt64, epoch: UInt32)?

    /// What comes next does not follow from what came last.
    mutating func forget() { previous = nil }

    /// The first branch of a range that visits the place; nil, and the range counts as seen, when none does. When one does,
    /// what was seen ends with it.
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
