// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads branch chunks: decodes each on demand, and those of a long walk ahead on other processors.
///
///     var reader = BranchChunkReader()
///     reader.begin(log, chunks, readsAhead: true)
///     for index in chunks.indices {
///         try reader.read(index)
///         use(reader.batch.pointee)
///     }
package struct BranchChunkReader: ~Copyable {
    private var log: LogFile?
    private var chunks: ArraySlice<Chunk> = []
    private var columns = BranchBatch.Columns.all
    private var readsAhead = false
    /// Chunks read since ``begin(_:_:columns:readsAhead:)``.
    private var count = 0
    private var ahead: BranchReadAhead?
    /// A batch for chunks that are decoded here.
    private let own: UnsafeMutablePointer<BranchBatch>
    /// The chunk in `own`, and its columns.
    private var owned: (log: ObjectIdentifier, chunk: Chunk, columns: BranchBatch.Columns)?
    /// The batch of the last chunk that was read; an empty one at first.
    package private(set) var batch: UnsafeMutablePointer<BranchBatch>

    /// Chunks that are decoded here before others are decoded ahead: a reader of the first branches needs no threads.
    private static let chunksBefore = 2

    /// A reader without chunks.
    package init() {
        own = .allocate(capacity: 1)
        own.initialize(to: BranchBatch())
        batch = own
    }

    deinit {
        ahead?.stop()
        own.deinitialize(count: 1)
        own.deallocate()
    }

    /// Begins to read some chunks. The chunk that was decoded last is not decoded again.
    ///
    /// - Parameters:
    ///   - columns: the columns that are decoded.
    ///   - readsAhead: whether all chunks are read in their order. Otherwise they may be read in any.
    package mutating func begin(
        _ log: LogFile, _ chunks: ArraySlice<Chunk>, columns: BranchBatch.Columns = .all, readsAhead: Bool
    ) {
        ahead?.stop()
        ahead = nil
        batch = own
        self.log = log
        self.chunks = chunks
        self.columns = columns
        self.readsAhead = readsAhead && BranchReadAhead.isPossible && chunks.count >= BranchReadAhead.fewestChunks
        count = 0
    }

    /// Reads the chunk with that index into ``batch``.
    package mutating func read(_ index: Int) throws(LogError) {
        guard let log else { return }
        if readsAhead, ahead == nil, count == BranchChunkReader.chunksBefore {
            ahead = BranchReadAhead(log, chunks, from: index, columns: columns)
        }
        count += 1
        if let ahead {
            batch = try ahead.batch(index)
            return
        }
        let place = (log: ObjectIdentifier(log), chunk: chunks[index], columns: columns)
        if let owned, owned == place { return }
        owned = nil
        try log.decode(chunks[index], into: &own.pointee, columns: columns)
        owned = place
    }
}
