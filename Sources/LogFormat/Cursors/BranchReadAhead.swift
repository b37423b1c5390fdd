// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc

/// Decodes the branch chunks of a walk on other processors, ahead of the thread that reads them in order.
///
///     let ahead = BranchReadAhead(log, chunks)
///     for index in chunks.indices { use(try ahead.batch(index).pointee) }
///     ahead.stop()
///
/// The reader decodes a chunk itself if no other thread has begun with it, so it never waits for a thread that does not
/// run. If one has, the reader decodes a later chunk meanwhile. The answers are those of ``LogFile/decode(_:into:)``.
package final class BranchReadAhead: @unchecked Sendable {
    /// The state of a batch.
    private struct Slot {
        var error: LogError?
        /// The index of the chunk in the batch.
        var index = -1
    }

    private let log: LogFile
    private let chunks: ArraySlice<Chunk>
    private let columns: BranchBatch.Columns
    private let batches: UnsafeMutablePointer<BranchBatch>
    private let slots: UnsafeMutablePointer<Slot>
    private let slotCount: Int
    private var threads: [pthread_t] = []

    private let lock = Lock()
    /// The next chunk that a thread takes.
    private var claimed: Int
    /// The chunk that the reader uses: slots of earlier ones are free.
    private var reading: Int
    /// The number of other threads that decode.
    private var working = 0
    private var isStopped = false

    /// The number of chunks from which other threads are worth their start.
    package static let fewestChunks = 8

    /// Whether there are processors for other threads.
    package static var isPossible: Bool { Parallel.threadCount > 1 }

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - first: the first chunk that is read; earlier ones are not.
    ///   - columns: the columns that are decoded.
    package init(_ log: LogFile, _ chunks: ArraySlice<Chunk>, from first: Int, columns: BranchBatch.Columns = .all) {
        self.log = log
        self.chunks = chunks
        self.columns = columns
        let workers = min(Parallel.threadCount - 1, 3)
        slotCount = workers + 3
        batches = .allocate(capacity: slotCount)
        for index in 0..<slotCount { (batches + index).initialize(to: BranchBatch()) }
        slots = .allocate(capacity: slotCount)
        slots.initialize(repeating: Slot(), count: slotCount)
        claimed = first
        reading = first
        for index in 0..<workers {
            if let thread = Parallel.start(index, { _ in self.work() }) { threads.append(thread) }
        }
    }

    deinit {
        batches.deinitialize(count: slotCount)
        batches.deallocate()
        slots.deinitialize(count: slotCount)
        slots.deallocate()
    }

    /// The chunk with that index, decoded; valid until the next call. The indexes of the calls must ascend.
    package func batch(_ index: Int) throws(LogError) -> UnsafeMutablePointer<BranchBatch> {
        let place = index % slotCount
        lock.lock()
        if index > reading + 1 {
            // Chunks were passed over: a thread may still decode one of them into this place.
            while working > 0 { lock.wait() }
        }
        reading = index
        lock.signal()
        if claimed <= index {
            claimed = index + 1
            lock.unlock()
            decode(index)
        } else {
            while slots[place].index != index {
                if canClaim { decodeNext() } else { lock.wait() }
            }
            lock.unlock()
        }
        if let error = slots[place].error { throw error }
        return batches + place
    }

    /// Ends the threads, and waits for them. Must be called before the last reference goes away.
    package func stop() {
        lock.locked {
            isStopped = true
            lock.signal()
        }
        for thread in threads { Parallel.join(thread) }
        threads = []
    }

    private func work() {
        lock.lock()
        while !isStopped, claimed < chunks.endIndex {
            guard canClaim else {
                lock.wait()
                continue
            }
            working += 1
            decodeNext()
            working -= 1
            lock.signal()
        }
        lock.unlock()
    }

    /// Whether there is a chunk to decode and a slot for it.
    private var canClaim: Bool { claimed < min(chunks.endIndex, reading + slotCount) }

    /// Decodes the next chunk. The lock is held, and is released meanwhile.
    private func decodeNext() {
        let index = claimed
        claimed += 1
        lock.unlock()
        decode(index)
        lock.lock()
        slots[index % slotCount].index = index
        lock.signal()
    }

    private func decode(_ index: Int) {
        let place = index % slotCount
        slots[place].error = nil
        do throws(LogError) {
            try log.decode(chunks[index], into: &batches[place], columns: columns)
        } catch {
            slots[place].error = error
        }
    }
}
