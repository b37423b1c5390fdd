// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The columns of one chunk: decoded, and numbered by the clock. Columns that a consumer holds point into it.
///
/// When the last of them is released, the memory goes back to the stream's pool: a consumer that reads batch after batch
/// causes no page faults.
final class BranchMemory {
    private let columns: UnsafeMutablePointer<BranchColumns>
    private let pool: Pool

    /// Takes memory of the pool, or new memory.
    init(_ pool: Pool) {
        self.pool = pool
        columns = pool.take()
    }

    deinit { pool.put(columns) }

    /// The decoded columns.
    var batch: BranchBatch {
        _read { yield columns.pointee.batch }
        _modify { yield &columns.pointee.batch }
    }

    /// The clocks of some rows of the batch.
    func clocks(_ rows: Range<Int>) -> UnsafeRawPointer {
        UnsafeRawPointer(columns.pointee.number(rows))
    }

    /// Columns that no consumer holds.
    final class Pool: @unchecked Sendable {
        private let lock = Lock()
        private var free: [UnsafeMutablePointer<BranchColumns>] = []
        private static let limit = 4

        deinit {
            for columns in free { Pool.release(columns) }
        }

        fileprivate func take() -> UnsafeMutablePointer<BranchColumns> {
            if let columns = lock.locked({ free.popLast() }) { return columns }
            let columns = UnsafeMutablePointer<BranchColumns>.allocate(capacity: 1)
            columns.initialize(to: BranchColumns())
            return columns
        }

        fileprivate func put(_ columns: UnsafeMutablePointer<BranchColumns>) {
            let isKept = lock.locked {
                if free.count < Pool.limit { free.append(columns) }
                return free.last == columns
            }
            if !isKept { Pool.release(columns) }
        }

        private static func release(_ columns: UnsafeMutablePointer<BranchColumns>) {
            columns.deinitialize(count: 1)
            columns.deallocate()
        }
    }
}

/// A decoded chunk and the clocks of its branches, which a log does not store.
private struct BranchColumns: ~Copyable {
    var batch = BranchBatch()
    private var clocks: UnsafeMutablePointer<UInt64>?
    private var capacity = 0

    deinit { clocks?.deallocate() }

    /// Writes the clocks of some rows of the batch.
    mutating func number(_ rows: Range<Int>) -> UnsafeMutablePointer<UInt64> {
        let clocks = room(for: rows.count)
        batch.writeClocks(of: rows, to: clocks)
        return clocks
    }

    private mutating func room(for count: Int) -> UnsafeMutablePointer<UInt64> {
        if let clocks, count <= capacity { return clocks }
        clocks?.deallocate()
        let made = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        (clocks, capacity) = (made, count)
        return made
    }
}

/// Memory of a column of one repeated number.
final class ConstantMemory {
    let words: UnsafeMutableRawPointer

    /// The same number of 32 bits, `count` times.
    init(_ value: Int32, count: Int) {
        words = .allocate(byteCount: 4 * count, alignment: 64)
        words.bindMemory(to: Int32.self, capacity: count).initialize(repeating: value, count: count)
    }

    deinit { words.deallocate() }
}
