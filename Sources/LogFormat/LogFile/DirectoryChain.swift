// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The chunk headers of a closed log, read from its directories alone: the trailer at the end of the file leads to a
/// directory and to the trailer before.
///
/// Bounded on any input: each trailer must lead to an earlier one, and all chunks in the directories must not overlap,
/// so that the file's size limits their number. (In a recovered log several directories may follow each other, after
/// all the chunks that they list.)
struct DirectoryChain {
    var chunks: [Chunk] = []
    var trailer: Trailer

    /// The result of following the trailers.
    enum Outcome {
        case chain(DirectoryChain)
        /// The file ends with a trailer, but the trailer leads to damage: the chunk headers must be searched in the
        /// whole log.
        case broken(at: UInt64, DamageKind)
        /// The file does not end with a trailer.
        case noTrailer
    }

    /// Follows the trailers of the log from its end.
    static func read(_ file: InputFile, size: UInt64, decoder: ChunkHeaderDecoder) throws(LogError) -> Outcome {
        let trailerSize = UInt64(ChunkHeaderDecoder.trailerSize)
        guard size >= UInt64(TTLOG_FILE_HEADER_SIZE) + trailerSize, size % UInt64(TTLOG_CHUNK_ALIGNMENT) == 0,
            let last = try trailer(in: file, at: size - trailerSize, decoder: decoder)
        else { return .noTrailer }
        var reader = BodyReader()
        var sections: [[Chunk]] = []
        var total: UInt64 = 0
        var current = last
        while true {
            let previous = current.previousTrailer
            func field(_ name: String, _ found: UInt64) -> Outcome {
                .broken(at: current.offset, .field(structure: .trailer, name: name, found: found))
            }
            guard previous < current.offset else { return field("previous_trailer", previous) }
            guard current.directoryOffset < current.offset else {
                return field("directory_offset", current.directoryOffset)
            }
            guard let directory = try directory(of: current, in: file, decoder: decoder),
                let section = try entries(of: directory, in: file, decoder: decoder, reader: &reader)
            else { return .broken(at: current.directoryOffset, .missing(structure: .directory)) }
            guard section.count == current.chunkCount else {
                return field("chunk_count", UInt64(truncatingIfNeeded: current.chunkCount))
            }
            total += UInt64(section.count)
            guard total <= size / UInt64(ChunkHeaderDecoder.headerSize) else {
                return field("chunk_count", UInt64(truncatingIfNeeded: current.chunkCount))
            }
            sections.append(section)
            if previous == 0 { break }
            guard let next = try trailer(in: file, at: previous, decoder: decoder) else {
                return .broken(at: previous, .missing(structure: .trailer))
            }
            current = next
        }
        let chunks = sections.reversed().flatMap { $0 }.sorted { $0.offset < $1.offset }
        if let place = overlap(in: chunks) { return .broken(at: place, .missing(structure: .directory)) }
        return .chain(DirectoryChain(chunks: chunks, trailer: last))
    }

    /// The offset of the first of these chunks, sorted by offset, that overlaps the chunk before it.
    private static func overlap(in chunks: [Chunk]) -> UInt64? {
        zip(chunks, chunks.dropFirst()).first { $0.offset + $0.extent > $1.offset }?.1.offset
    }

    private static func trailer(
        in file: InputFile, at offset: UInt64, decoder: ChunkHeaderDecoder
    ) throws(LogError) -> Trailer? {
        var buffer = ReusedBuffer()
        let bytes = buffer.room(for: ChunkHeaderDecoder.trailerSize)
        guard try file.read(bytes, at: offset) == bytes.count else { return nil }
        return decoder.trailer(UnsafeRawBufferPointer(bytes), at: offset)
    }

    /// The header of the directory chunk that a trailer leads to.
    private static func directory(
        of trailer: Trailer, in file: InputFile, decoder: ChunkHeaderDecoder
    ) throws(LogError) -> Chunk? {
        var buffer = ReusedBuffer()
        let bytes = buffer.room(for: ChunkHeaderDecoder.headerSize)
        guard try file.read(bytes, at: trailer.directoryOffset) == bytes.count,
            case .success(let chunk) = decoder.chunk(UnsafeRawBufferPointer(bytes), at: trailer.directoryOffset),
            chunk.stream == .directory, chunk.extent <= trailer.offset - trailer.directoryOffset
        else { return nil }
        return chunk
    }

    /// The chunks that a directory lists; nil when its body is damaged, when an entry is not an intact header, or when
    /// entries do not ascend to the directory itself.
    static func entries(
        of directory: Chunk, in file: InputFile, decoder: ChunkHeaderDecoder,
        reader: inout BodyReader
    ) throws(LogError) -> [Chunk]? {
        let entrySize = ChunkHeaderDecoder.headerSize
        guard !directory.isElided, directory.rawSize == directory.count &* entrySize else { return nil }
        let body: UnsafeRawBufferPointer
        do throws(LogError) {
            body = try reader.body(of: directory, in: file)
        } catch {
            if case .damaged = error.kind { return nil }
            throw error
        }
        var chunks: [Chunk] = []
        var end = UInt64(TTLOG_FILE_HEADER_SIZE)
        for index in 0..<directory.count {
            let entry = UnsafeRawBufferPointer(rebasing: body[(index * entrySize)..<((index + 1) * entrySize)])
            let offset = RawFields(entry).uint64(16)
            guard case .success(let chunk) = decoder.chunk(entry, at: offset), chunk.stream != .directory,
                offset >= end, offset < directory.offset, chunk.extent <= directory.offset - offset
            else { return nil }
            chunks.append(chunk)
            end = offset + chunk.extent
        }
        return chunks
    }
}
