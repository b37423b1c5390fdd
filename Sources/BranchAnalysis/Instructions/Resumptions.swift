// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Finds the instructions that begin again after an exception: an unexplained transition left them, and a return from
/// an interrupt goes back to them.
struct Resumptions {
    /// The instructions that were left and not yet gone back to, the latest last.
    private var left: [UInt64] = []
    /// The branch before returned from an interrupt.
    private(set) var isReturning = false

    /// As deep as exceptions nest, and some that are never gone back to.
    private static let limit = 64

    /// Whether a branch of that label returns from an interrupt.
    @inline(__always)
    static func isReturn(_ label: BranchLabel) -> Bool {
        let number = label.classNumber
        return number == BranchClass.iret.rawValue || number == BranchClass.sysret.rawValue
    }

    /// An interrupt, an exception or a fault left the instruction.
    mutating func left(_ address: UInt64) {
        if left.count == Resumptions.limit { left.removeFirst() }
        left.append(address)
    }

    mutating func returned() { isReturning = true }

    /// Whether the stretch that begins there begins an instruction again.
    mutating func begins(at address: UInt64?) -> Bool {
        guard isReturning else { return false }
        isReturning = false
        guard let address else { return false }
        for index in left.indices.reversed() {
            // The return goes to an address after the instruction: it was completed or skipped.
            guard address &- left[index] <= 15 else { continue }
            let isSame = address == left[index]
            left.removeSubrange(index...)
            return isSame
        }
        return false
    }

    /// Forgets all instructions that were left.
    mutating func forget() { self = Resumptions() }
}
