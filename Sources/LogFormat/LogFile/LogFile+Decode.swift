// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

// MARK: - Decoding chunks
extension LogFile {
    /// Decodes a branch chunk, its body's hash checked.
    ///
    /// Throws when the body was left out (`.elidedBody`), cannot be read or is damaged; the batch is then empty.
    ///
    /// - Parameter columns: the columns that are decoded; others have any content, and are not checked beyond the hash.
    ///   Without any the body is not decompressed either: the batch has clocks only.
    public func decode(
        _ chunk: Chunk, into batch: inout BranchBatch, columns: BranchBatch.Columns = .all
    ) throws(LogError) {
        guard columns.isEmpty, chunk.stream == .branch, !chunk.isOpenSlot else {
            _ = try decodeBody(chunk, into: &batch, columns: columns)
            return
        }
        batch.count = 0
        try checkLimits(of: chunk)
        bytesTouched.add(UInt64(truncatingIfNeeded: chunk.storedSize), ordering: .relaxed)
        _ = try batch.reader.storedBody(of: chunk, in: file)
        _ = batch.room(for: chunk.count)
        batch.begin(chunk)
    }

    /// Decodes an event, access or meta chunk, its body's hash checked.
    ///
    /// Throws when the body cannot be read or is damaged; the batch is then empty.
    public func decode(_ chunk: Chunk, into batch: inout EventBatch) throws(LogError) {
        _ = try decodeBody(chunk, into: &batch)
    }

    /// Decodes a branch chunk. Returns its raw body, which is valid until the batch is used again; only the encoded forms of
    /// `columns` are whole.
    func decodeBody(
        _ chunk: Chunk, into batch: inout BranchBatch, columns: BranchBatch.Columns = .all
    ) throws(LogError) -> UnsafeRawBufferPointer {
        batch.count = 0
        guard chunk.stream == .branch else {
            throw LogError(file: path, offset: chunk.offset, kind: .wrongStream(chunk.stream))
        }
        let body = try self.body(of: chunk, reader: &batch.reader, columns: columns)
        let output = batch.room(for: chunk.count)
        do throws(MalformedBody) {
            try BranchDecoder.decode(
                body, count: chunk.count, icountFirst: chunk.icountFirst, columns: columns, into: output)
        } catch {
            throw malformed(chunk, error)
        }
        batch.begin(chunk)
        return body
    }

    /// Decodes an event, access or meta chunk. Returns its raw body, which is valid until the batch is used again.
    func decodeBody(_ chunk: Chunk, into batch: inout EventBatch) throws(LogError) -> UnsafeRawBufferPointer {
        batch.count = 0
        guard chunk.stream != .branch, chunk.stream != .directory else {
            throw LogError(file: path, offset: chunk.offset, kind: .wrongStream(chunk.stream))
        }
        let body = try self.body(of: chunk, reader: &batch.reader)
        do throws(MalformedBody) {
            try batch.decode(body, of: chunk)
        } catch {
            throw malformed(chunk, error)
        }
        return body
    }

    /// Computes the class digests from the body and compares them with those of the header.
    ///
    /// - Throws: ``LogError`` if the body was left out, cannot be read or is damaged.
    public func checkDigests(_ chunk: Chunk) throws(LogError) -> Bool {
        var reader = BodyReader()
        let body = try self.body(of: chunk, reader: &reader)
        return try digests(of: body, chunk) == chunk.digests
    }

    /// The class digests of a raw body.
    func digests(of body: UnsafeRawBufferPointer, _ chunk: Chunk) throws(LogError) -> Digests {
        do throws(MalformedBody) {
            return try Digests(body: body, chunk: chunk)
        } catch {
            throw malformed(chunk, error)
        }
    }

    /// The raw body of a chunk, from the log or the open file: all of it, or those columns of a branch body.
    func body(
        of chunk: Chunk, reader: inout BodyReader, columns: BranchBatch.Columns = .all
    ) throws(LogError) -> UnsafeRawBufferPointer {
        try checkLimits(of: chunk)
        if chunk.isOpenSlot {
            guard Int(chunk.slot) < slotBodies.count else {
                throw LogError(file: path, offset: chunk.offset, kind: .invalidRequest("a chunk of another log"))
            }
            return reader.copy(of: slotBodies[Int(chunk.slot)])
        }
        bytesTouched.add(UInt64(truncatingIfNeeded: chunk.storedSize), ordering: .relaxed)
        return try reader.body(of: chunk, in: file, columns: columns)
    }

    /// Chunks are values: a caller may have changed one.
    private func checkLimits(of chunk: Chunk) throws(LogError) {
        if let problem = ChunkHeaderDecoder.limits(chunk) {
            throw LogError(file: path, offset: chunk.offset, kind: .damaged(problem.what))
        }
        if chunk.stream == .branch, chunk.rawSize > BranchDecoder.bodyBound(count: chunk.count) {
            let bound = UInt64(BranchDecoder.bodyBound(count: chunk.count))
            let columns = Int(TTLOG_BRANCH_COLUMNS.rawValue)
            throw malformed(
                chunk, MalformedBody(column: columns, expected: bound, found: UInt64(chunk.rawSize)))
        }
    }

    func malformed(_ chunk: Chunk, _ error: MalformedBody) -> LogError {
        LogError(file: path, offset: chunk.offset, kind: .damaged(error.damage))
    }
}

extension BranchBatch {
    /// Takes over what the header says of the decoded records.
    fileprivate mutating func begin(_ chunk: Chunk) {
        clockFirst = chunk.clockFirst
        epoch = chunk.epoch
        count = chunk.count
    }
}

extension Digests {
    /// Computes the digests of a raw body.
    init(body: UnsafeRawBufferPointer, chunk: Chunk) throws(MalformedBody) {
        self.init()
        let isBranch = chunk.stream == .branch
        let layout = try ColumnLayout(
            body: body,
            columnCount: Int(isBranch ? TTLOG_BRANCH_COLUMNS.rawValue : TTLOG_EVENT_COLUMNS.rawValue))
        func digest(_ first: UInt32, _ last: UInt32) -> UInt64 {
            let bytes = layout.bytes(Int(first)...Int(last))
            return ttlog_hash(bytes.baseAddress, bytes.count, UInt64(truncatingIfNeeded: chunk.count))
        }
        if isBranch {
            path = digest(TTLOG_BCOL_CONTROL.rawValue, TTLOG_BCOL_TO.rawValue)
            label = digest(TTLOG_BCOL_LABEL.rawValue, TTLOG_BCOL_LABEL_ESCAPE.rawValue)
            position = digest(TTLOG_BCOL_ICOUNT.rawValue, TTLOG_BCOL_ICOUNT_ESCAPE.rawValue)
        } else {
            position = digest(TTLOG_ECOL_KIND.rawValue, TTLOG_ECOL_IP.rawValue)
            payload = digest(TTLOG_ECOL_INFO.rawValue, TTLOG_ECOL_PAYLOAD.rawValue)
        }
    }
}
