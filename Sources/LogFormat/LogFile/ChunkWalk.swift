// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Finds the chunk headers of a log without a usable directory, one after the other.
///
/// After a damaged header the search continues at the next multiple of 64 bytes at which magic, checksum, nonce and own
/// offset of a chunk or trailer are right; the skipped bytes are reported. Directories that are found give back chunks
/// whose own headers are damaged.
struct ChunkWalk: ~Copyable {
    private(set) var chunks: [Chunk] = []
    private(set) var damage: [Damage] = []
    /// The last trailer found.
    private(set) var trailer: Trailer?
    /// Whether the log was closed: it ends with a trailer, or with a directory and 64 damaged bytes.
    private(set) var isClosed = false
    /// The last chunk with an intact header and a body that ends after the end of the file.
    private(set) var torn: Chunk?

    private let file: InputFile
    private let size: UInt64
    private let decoder: ChunkHeaderDecoder
    private var directories: [Chunk] = []
    private var trailers: [Trailer] = []
    /// Parts of the file without any known content: records of any stream may have been there.
    private(set) var unexplained: [Range<UInt64>] = []
    private var window = ReusedBuffer()
    private var windowOffset: UInt64 = 0
    private var windowCount = 0

    private static let alignment = UInt64(TTLOG_CHUNK_ALIGNMENT)
    /// Bytes read at once: little where chunk follows chunk, much while searching.
    private static let searchWindow = 1 << 20

    init(_ file: InputFile, size: UInt64, decoder: ChunkHeaderDecoder) {
        self.file = file
        self.size = size
        self.decoder = decoder
    }

    /// Reads the whole file.
    mutating func run() throws(LogError) {
        let trailerSize = UInt64(ChunkHeaderDecoder.trailerSize)
        var offset = UInt64(TTLOG_FILE_HEADER_SIZE)
        while offset < size {
            switch try element(at: offset) {
            case .chunk(let chunk):
                if chunk.stream == .directory { directories.append(chunk) } else { chunks.append(chunk) }
                offset += chunk.extent
                isClosed = false
            case .trailer(let found):
                trailer = found
                trailers.append(found)
                offset += trailerSize
                isClosed = offset == size
            case .damaged(let what, let skip):
                let next = try search(from: offset &+ skip)
                damage.append(Damage(file: file.path, offset: offset, length: next - offset, what: what))
                let afterDirectory = directories.last.map { $0.offset + $0.extent } == offset
                isClosed = afterDirectory && next == size && next - offset == trailerSize
                offset = next
            }
        }
        try restoreFromDirectories()
    }

    private enum Element {
        case chunk(Chunk)
        case trailer(Trailer)
        /// Nothing usable; the search may begin that many bytes on.
        case damaged(DamageKind, skip: UInt64)
    }

    /// The element at a multiple of 64.
    private mutating func element(at offset: UInt64) throws(LogError) -> Element {
        let bytes = try bytes(at: offset, count: ChunkHeaderDecoder.headerSize)
        if let trailer = decoder.trailer(bytes, at: offset) { return .trailer(trailer) }
        guard bytes.count >= ChunkHeaderDecoder.headerSize else {
            return .damaged(
                .truncated(
                    structure: .chunkHeader, expected: UInt64(ChunkHeaderDecoder.headerSize),
                    present: UInt64(bytes.count)), skip: ChunkWalk.alignment)
        }
        switch decoder.chunk(bytes, at: offset) {
        case .success(let chunk):
            // The last chunk may lack its padding, not its body.
            let needed = UInt64(ChunkHeaderDecoder.headerSize + chunk.storedSize)
            guard needed <= size - offset else {
                torn = chunk
                return .damaged(
                    .truncated(structure: .body, expected: needed, present: size - offset), skip: ChunkWalk.alignment)
            }
            return .chunk(chunk)
        case .failure(let problem):
            // An intact header with a field that this reader does not know still contains the chunk's size.
            let extent = (UInt64(ChunkHeaderDecoder.headerSize) + UInt64(problem.storedSize ?? 0) + 63) & ~63
            let isTrusted = problem.storedSize != nil && extent <= size - offset
            return .damaged(problem.what, skip: isTrusted ? extent : ChunkWalk.alignment)
        }
    }

    /// The first offset from `start` on with a chunk or trailer; the file's end if there is none.
    private mutating func search(from start: UInt64) throws(LogError) -> UInt64 {
        var offset = start
        while offset < size {
            // A hole contains nothing. Data begins at a page, which is a multiple of 64.
            let data = file.nextData(from: offset)
            if data >= size { return size }
            offset = max(offset, data & ~(ChunkWalk.alignment - 1))
            let bytes = try bytes(at: offset, count: ChunkWalk.searchWindow)
            let raw = RawFields(bytes)
            var place = 0
            while place + 8 <= bytes.count {
                let isCandidate = raw.uint32(place) == TTLOG_CHUNK_MAGIC || raw.uint64(place) == TTLOG_TRAILER_MAGIC
                if isCandidate {
                    let isEnough =
                        bytes.count - place >= ChunkHeaderDecoder.headerSize || offset + UInt64(bytes.count) >= size
                    if !isEnough { break }
                    if isIntact(UnsafeRawBufferPointer(rebasing: bytes[place...]), at: offset + UInt64(place)) {
                        return offset + UInt64(place)
                    }
                }
                place += Int(ChunkWalk.alignment)
            }
            offset += UInt64(max(place, Int(ChunkWalk.alignment)))
        }
        return size
    }

    private func isIntact(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        if decoder.trailer(bytes, at: offset) != nil { return true }
        switch decoder.chunk(bytes, at: offset) {
        case .success: return true
        case .failure(let problem): return problem.storedSize != nil
        }
    }

    /// At most `count` bytes of the file from `offset` on; fewer only at the file's end.
    private mutating func bytes(at offset: UInt64, count: Int) throws(LogError) -> UnsafeRawBufferPointer {
        let wanted = Int(min(UInt64(count), size - offset))
        if offset < windowOffset || offset + UInt64(wanted) > windowOffset + UInt64(windowCount) {
            let buffer = window.room(for: wanted)
            windowCount = 0
            windowCount = try file.read(buffer, at: offset)
            windowOffset = offset
        }
        let start = Int(offset - windowOffset)
        let all = UnsafeRawBufferPointer(start: window.base, count: windowCount)
        return UnsafeRawBufferPointer(rebasing: all[min(start, all.count)..<min(start + wanted, all.count)])
    }

    /// Adds the chunks that directories list and that the search did not find.
    private mutating func restoreFromDirectories() throws(LogError) {
        guard !damage.isEmpty else { return }
        var known = Set(chunks.map(\.offset))
        var explained: [Range<UInt64>] = []
        var reader = BodyReader()
        // Honest directories list each chunk once.
        var room = size / UInt64(ChunkHeaderDecoder.headerSize)
        for directory in directories {
            guard UInt64(directory.count) <= room else { break }
            room -= UInt64(directory.count)
            let listed = try DirectoryChain.entries(
                of: directory, in: file, decoder: decoder, reader: &reader)
            for chunk in listed ?? [] where known.insert(chunk.offset).inserted {
                chunks.append(chunk)
                explained.append(chunk.offset..<(chunk.offset + chunk.extent))
            }
        }
        let met = Set(directories.map(\.offset))
        for trailer in trailers where !met.contains(trailer.directoryOffset) {
            guard UInt64(trailer.chunkCount) <= room, let listed = try entries(before: trailer) else { continue }
            room -= UInt64(trailer.chunkCount)
            explained.append(trailer.directoryOffset..<trailer.offset)
            for chunk in listed where known.insert(chunk.offset).inserted {
                chunks.append(chunk)
                explained.append(chunk.offset..<(chunk.offset + chunk.extent))
            }
        }
        unexplained = ChunkWalk.rest(of: damage.map { $0.offset..<($0.offset + $0.length) }, without: explained)
    }

    /// The chunks in a directory whose own header is damaged: the trailer contains its offset and the number of its
    /// headers, and each header has a checksum of its own. Nil if none of them is intact.
    private func entries(before trailer: Trailer) throws(LogError) -> [Chunk]? {
        let entrySize = UInt64(ChunkHeaderDecoder.headerSize)
        let count = UInt64(trailer.chunkCount)
        let (size, overflows) = count.multipliedReportingOverflow(by: entrySize)
        guard !overflows, count > 0, trailer.directoryOffset < trailer.offset,
            trailer.offset - trailer.directoryOffset == size &+ entrySize, size <= UInt64(TTLOG_BODY_MAX)
        else { return nil }
        var buffer = ReusedBuffer()
        let room = buffer.room(for: Int(size))
        let present = try file.read(room, at: trailer.directoryOffset + entrySize)
        var found: [Chunk] = []
        var end = UInt64(TTLOG_FILE_HEADER_SIZE)
        for index in 0..<(present / Int(entrySize)) {
            let start = index * Int(entrySize)
            let entry = UnsafeRawBufferPointer(rebasing: room[start..<(start + Int(entrySize))])
            let offset = RawFields(entry).uint64(16)
            guard case .success(let chunk) = decoder.chunk(entry, at: offset), chunk.stream != .directory,
                offset >= end, offset < trailer.directoryOffset, chunk.extent <= trailer.directoryOffset - offset
            else { continue }
            found.append(chunk)
            end = offset + chunk.extent
        }
        return found.isEmpty ? nil : found
    }

    /// The parts of ranges that are not in others. None is empty.
    private static func rest(of ranges: [Range<UInt64>], without others: [Range<UInt64>]) -> [Range<UInt64>] {
        let sorted = others.sorted { $0.lowerBound < $1.lowerBound }
        var rest: [Range<UInt64>] = []
        for range in ranges where !range.isEmpty {
            var start = range.lowerBound
            for other in sorted where other.upperBound > start && other.lowerBound < range.upperBound {
                if other.lowerBound > start { rest.append(start..<other.lowerBound) }
                start = max(start, other.upperBound)
            }
            if start < range.upperBound { rest.append(start..<range.upperBound) }
        }
        return rest
    }

    /// The nonce of the first chunk whose header is intact apart from the nonce; for a log whose own header is damaged.
    static func findNonce(_ file: InputFile, size: UInt64) throws(LogError) -> UInt64? {
        var buffer = ReusedBuffer()
        var offset = UInt64(TTLOG_FILE_HEADER_SIZE)
        while offset < size {
            offset = max(offset, file.nextData(from: offset) & ~(alignment - 1))
            guard offset < size else { break }
            let bytes = buffer.room(for: Int(min(UInt64(searchWindow), size - offset)))
            let count = try file.read(bytes, at: offset)
            var place = 0
            while place + ChunkHeaderDecoder.headerSize <= count {
                let header = UnsafeRawBufferPointer(rebasing: bytes[place..<(place + ChunkHeaderDecoder.headerSize)])
                let raw = RawFields(header)
                if raw.uint32(0) == TTLOG_CHUNK_MAGIC, raw.uint64(16) == offset + UInt64(place),
                    checksum(header, fieldAt: 4) == raw.uint32(4)
                {
                    return raw.uint64(8)
                }
                place += Int(alignment)
            }
            if place == 0 { break }
            offset += UInt64(place)
        }
        return nil
    }
}
