// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The decoded columns of one chunk. Columns that a consumer holds point into it.
///
/// When the last of them is released, the memory goes back to the stream's pool: a consumer that reads batch after batch
/// causes no page faults.
final class BranchMemory {
    let batch: UnsafeMutablePointer<BranchBatch>
    private let pool: Pool

    /// Takes memory of the pool, or new memory.
    init(_ pool: Pool) {
        self.pool = pool
        batch = pool.take()
    }

    deinit { pool.put(batch) }

    /// Batches that no consumer holds.
    final class Pool: @unchecked Sendable {
        private let lock = Lock()
        private var free: [UnsafeMutablePointer<BranchBatch>] = []
        private static let limit = 4

        deinit {
            for batch in free { Pool.release(batch) }
        }

        fileprivate func take() -> UnsafeMutablePointer<BranchBatch> {
            if let batch = lock.locked({ free.popLast() }) { return batch }
            let batch = UnsafeMutablePointer<BranchBatch>.allocate(capacity: 1)
            batch.initialize(to: BranchBatch())
            return batch
        }

        fileprivate func put(_ batch: UnsafeMutablePointer<BranchBatch>) {
            let isKept = lock.locked {
                if free.count < Pool.limit { free.append(batch) }
                return free.last == batch
            }
            if !isKept { Pool.release(batch) }
        }

        private static func release(_ batch: UnsafeMutablePointer<BranchBatch>) {
            batch.deinitialize(count: 1)
            batch.deallocate()
        }
    }
}

/// Memory of a column that is computed, not decoded: clocks, and numbers that are the same in all rows.
final class ComputedMemory {
    let words: UnsafeMutableRawPointer

    private init(byteCount: Int) { words = .allocate(byteCount: max(byteCount, 64), alignment: 64) }

    deinit { words.deallocate() }

    /// Clocks from `first` on.
    static func clocks(from first: UInt64, count: Int) -> ComputedMemory {
        let memory = ComputedMemory(byteCount: 8 * count)
        let values = memory.words.bindMemory(to: UInt64.self, capacity: count)
        for index in 0..<count { values[index] = first &+ UInt64(truncatingIfNeeded: index) }
        return memory
    }

    /// The same number of 32 bits, often.
    static func constant(_ value: Int32, count: Int) -> ComputedMemory {
        let memory = ComputedMemory(byteCount: 4 * count)
        memory.words.bindMemory(to: Int32.self, capacity: count).initialize(repeating: value, count: count)
        return memory
    }
}
