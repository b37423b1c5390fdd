// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import ReplaySession

/// The windows of both sides. Instructions with the same number are the same step of both runs, up to ``commonCount``.
struct TracePair {
    let original: WindowTrace
    let replay: WindowTrace
    /// Instructions before the paths differ.
    let commonCount: Int

    init(_ original: WindowTrace, _ replay: WindowTrace) {
        self.original = original
        self.replay = replay
        let count = min(original.count, replay.count)
        commonCount = original.addresses.withUnsafeBufferPointer { first in
            replay.addresses.withUnsafeBufferPointer { second in
                var index = 0
                while index < count, first[index] == second[index] { index += 1 }
                return index
            }
        }
    }

    /// Whether both sides go on after the common part: their paths differ.
    var hasPathDifference: Bool { commonCount < original.count && commonCount < replay.count }

    /// Two accesses of the same instruction.
    struct AccessPair {
        var original: WindowTrace.Access
        var replay: WindowTrace.Access

        var hasSameAddress: Bool { original.virtual == replay.virtual && original.size == replay.size }
        /// Whether the values differ in the bytes of the mask (a bit each).
        func differs(in bytes: UInt8 = 0xff) -> Bool { differingBytes & bytes != 0 }

        /// The bytes in which the values differ, a bit each.
        var differingBytes: UInt8 {
            let difference = original.value ^ replay.value
            var bytes: UInt8 = 0
            for byte in 0..<original.size where difference >> UInt64(8 * byte) & 0xff != 0 { bytes |= 1 << UInt8(byte) }
            return bytes
        }
    }

    /// The accesses of an instruction on both sides. If their numbers differ, the surplus is left out.
    func accesses(_ index: Int) -> [AccessPair] {
        guard original.hasAccesses(index) || replay.hasAccesses(index) else { return [] }
        return zip(original.accesses(index), replay.accesses(index)).map { AccessPair(original: $0, replay: $1) }
    }

    /// The first instruction that reads or writes different values, or at different addresses; nil if none does.
    func firstDifferentAccess() -> Int? {
        (0..<commonCount).first { index in
            !original.hasSameAccesses(index, as: replay)
                && accesses(index).contains { !$0.hasSameAddress || $0.differs() }
        }
    }
}
