// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import CZstd
import LogFormat

/// A body of branches as the writer makes it, the same body in other frames, and logs with those bodies.
struct BodySample {
    /// The log up to the end of its first chunk, which has the branches.
    private let image: LogImage
    /// The writer's stored body.
    let stored: [UInt8]
    /// The same, decompressed.
    let raw: [UInt8]
    private let scratch = Scratch()

    struct Frame {
        var stored: Range<Int>
        var raw: Range<Int>
    }

    struct Wrong: Error {}

    init(branches: Int) throws {
        var options = LogWriter.Options()
        options.nonce = SampleLog.nonce
        options.branchCellShift = 16
        let writer = try LogWriter(path: scratch.file("whole"), options: options)
        var numbers = Numbers(7)
        for index in 0..<UInt64(branches) {
            // Some labels and instruction counts have no short form.
            writer.branch(
                from: 0x1000 + numbers.next() % 64, to: 0x1000 + numbers.next() % 4096,
                icount: index * 3 + index / 512 * 300, label: BranchLabel(rawValue: index % 50 == 0 ? 0x0c : 0x21))
        }
        try writer.close()
        var image = LogImage(bytes: try readBytes(scratch.file("whole")))
        image.bytes.removeSubrange(image.end(ofChunkAt: LogImage.headerSize)...)
        let body = LogImage.headerSize + LogImage.chunkHeaderSize
        stored = Array(image.bytes[body..<(body + image.storedSize(ofChunkAt: LogImage.headerSize))])
        var raw = [UInt8](repeating: 0, count: Int(image.word(at: LogImage.headerSize + 24, UInt32.self)))
        guard image.stream(ofChunkAt: LogImage.headerSize) == UInt8(TTLOG_STREAM_BRANCH.rawValue),
            ttlog_decompress(&raw, raw.count, stored, stored.count) == 0
        else { throw Wrong() }
        self.raw = raw
        self.image = image
    }

    /// The columns of a raw body, as far as its table of sizes fits.
    func columnRanges(of raw: [UInt8]) -> [Range<Int>] {
        var place = 28
        return (0..<7).map { column in
            let size = Int(LogImage(bytes: raw).word(at: 4 * column, UInt32.self))
            let first = place
            place = min(first + size, raw.count)
            return first..<place
        }
    }

    var columnPlaces: [Int] { columnRanges(of: raw).map(\.lowerBound) }

    /// The frames of a stored body by their headers.
    func frames(of stored: [UInt8]) -> [Frame] {
        var frames: [Frame] = []
        var (place, rawPlace) = (0, 0)
        while place < stored.count {
            let rest = Array(stored[place...])
            let size = ZSTD_findFrameCompressedSize(rest, rest.count)
            guard ZSTD_isError(size) == 0 else { return [] }
            let rawSize = Int(ZSTD_getFrameContentSize(rest, rest.count))
            frames.append(Frame(stored: place..<(place + size), raw: rawPlace..<(rawPlace + rawSize)))
            place += size
            rawPlace += rawSize
        }
        return frames
    }
}

// MARK: - Bodies
extension BodySample {
    /// Ways to divide the same raw body into frames.
    enum Layout: CaseIterable {
        case oneFrame, tableApart, columns, overColumns, insideTable, withoutSizes, withEmptyFrames
    }

    func body(_ layout: Layout) -> [UInt8] {
        let places = columnPlaces
        switch layout {
        case .oneFrame: return compressed([])
        case .tableApart: return compressed(places)
        case .columns: return compressed(Array(places[1...]))
        case .overColumns: return compressed([places[1] + 5, places[3] - 5, places[5] + 1])
        case .insideTable: return compressed([10, places[1], places[3]])
        case .withoutSizes: return compressed(places, hasSizes: false)
        case .withEmptyFrames:
            // A frame of no bytes, and one that decompression passes over (RFC 8878, 3.1.2).
            let nothing = compressed(0..<0, hasSizes: true)
            let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]
            let frames = frames(of: stored)
            return frames.flatMap { stored[$0.stored] + nothing + skippable } + nothing
        }
    }

    /// Bodies that do not decompress to the raw size.
    enum Damage: CaseIterable {
        case frameMissing, firstFrameMissing, frameTwice, endCut, bytesAfter, sizeTooSmall, sizeTooLarge, none
    }

    func damaged(_ damage: Damage) -> [UInt8] {
        let frames = frames(of: stored)
        switch damage {
        case .frameMissing:
            return Array(stored[..<frames[2].stored.lowerBound] + stored[frames[3].stored.lowerBound...])
        case .firstFrameMissing: return Array(stored[frames[1].stored.lowerBound...])
        case .frameTwice: return stored + stored[frames[6].stored]
        case .endCut: return stored.dropLast(3)
        case .bytesAfter: return stored + [0x28, 0xb5, 0x2f]
        case .sizeTooSmall, .sizeTooLarge:
            // The size field of the second frame: after the magic number and the descriptor.
            var result = stored
            result[frames[1].stored.lowerBound + 5] &+= damage == .sizeTooSmall ? 255 : 1
            return result
        case .none: return [0x28]
        }
    }

    /// A frame for each piece of the raw body between those places.
    private func compressed(_ places: [Int], hasSizes: Bool = true) -> [UInt8] {
        let bounds = ([0] + places + [raw.count])
        return zip(bounds, bounds.dropFirst()).flatMap { compressed($0..<$1, hasSizes: hasSizes) }
    }

    private func compressed(_ range: Range<Int>, hasSizes: Bool) -> [UInt8] {
        let piece = Array(raw[range])
        let context = ZSTD_createCCtx()
        defer { ZSTD_freeCCtx(context) }
        _ = ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, hasSizes ? 1 : 0)
        var frame = [UInt8](repeating: 0, count: ZSTD_compressBound(piece.count))
        let size = ZSTD_compress2(context, &frame, frame.count, piece, piece.count)
        return Array(frame.prefix(size))
    }
}

// MARK: - Logs
extension BodySample {
    /// A log, not closed, whose only chunk has this body.
    func log(_ body: [UInt8], codec: ttlog_codec = TTLOG_CODEC_ZSTD) throws -> LogFile {
        let chunk = LogImage.headerSize
        var image = image
        image.bytes.removeSubrange((chunk + LogImage.chunkHeaderSize)...)
        image.bytes += body + [UInt8](repeating: 0, count: (64 - body.count % 64) % 64)
        image.set(UInt32(body.count), at: chunk + 28)
        image.set(UInt8(codec.rawValue), at: chunk + 33)
        image.repairChunk(at: chunk)
        // A log that is open keeps its file.
        let path = scratch.file("\(ttlog_hash(image.bytes, image.bytes.count, 0))")
        try writeBytes(image.bytes, path)
        return try LogFile(path: path)
    }

    /// The columns that a decode fills, one after the other.
    func contents(_ log: LogFile, _ columns: BranchBatch.Columns) throws -> [UInt64] {
        guard let chunk = log.chunks(.branch, vcpu: 0).first else { throw Wrong() }
        var batch = BranchBatch()
        try log.decode(chunk, into: &batch, columns: columns)
        var result: [UInt64] = []
        if columns.contains(.from) { result += UnsafeBufferPointer(start: batch.from, count: batch.count) }
        if columns.contains(.to) { result += UnsafeBufferPointer(start: batch.to, count: batch.count) }
        if columns.contains(.label) {
            result += UnsafeBufferPointer(start: batch.label, count: batch.count).map(UInt64.init)
        }
        if columns.contains(.icount) { result += UnsafeBufferPointer(start: batch.icount, count: batch.count) }
        return result
    }

    /// The same of the raw body, uncompressed in a log.
    func expected(_ columns: BranchBatch.Columns) throws -> [UInt64] {
        try contents(log(raw, codec: TTLOG_CODEC_RAW), columns)
    }
}
