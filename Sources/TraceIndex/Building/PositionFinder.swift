// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// Finds branch counters by instruction counts, on one vCPU. Chunks are chosen by their headers. The last decoded chunk
/// is kept, so that ascending counts decode each chunk once.
final class PositionFinder {
    private let log: LogFile
    private let chunks: [Chunk]
    private var batch = BranchBatch()
    private var loaded: Int?

    init(_ log: LogFile, vcpu: UInt16) {
        self.log = log
        chunks = log.header.features.contains(.icount) ? log.chunks(.branch, vcpu: vcpu).filter { $0.count > 0 } : []
    }

    /// The number of transitions that were made before `icount` instructions had begun: the clock of the first branch
    /// that goes to a later instruction. nil in a log without counts, after its last branch, and if the chunk was left
    /// out.
    ///
    /// - Throws: `LogError` if the chunk is damaged.
    func clock(icount: UInt64) throws(LogError) -> UInt64? {
        let place = chunks.partitioningIndex { $0.icountLast > icount }
        guard place < chunks.count, !chunks[place].isElided else { return nil }
        if loaded != place {
            loaded = nil
            try log.decode(chunks[place], into: &batch)
            loaded = place
        }
        let counts = batch.icount
        var (low, high) = (0, batch.count)
        while low < high {
            let middle = (low + high) / 2
            if counts[middle] > icount { high = middle } else { low = middle + 1 }
        }
        return low < batch.count ? batch.clockFirst &+ UInt64(low) : nil
    }
}
