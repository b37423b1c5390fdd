// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Ways to spoil a log. The blind ones (``isBlind``) leave the checksums wrong; the others make them right again, so that
/// nonsense gets as far into the reader as it can.
enum Mutation: CaseIterable {
    case bitFlips, truncation, splice, deletion, overwrittenRange
    case hostileChunkField, hostileBody, hostileColumnSizes, hostileTrailer, hostileDirectory, hostileFileHeader
    case swappedChunks

    /// Whether checksums can no longer detect the change.
    var isBlind: Bool {
        switch self {
        case .bitFlips, .truncation, .splice, .deletion, .overwrittenRange: true
        default: false
        }
    }

    func apply(to image: inout LogImage, _ numbers: inout Numbers) {
        switch self {
        case .bitFlips: flipBits(&image, &numbers)
        case .truncation: image.bytes.removeSubrange(Int.random(in: 0..<image.bytes.count, using: &numbers)...)
        case .splice: splice(&image, &numbers)
        case .deletion: image.bytes.removeSubrange(range(of: image, &numbers))
        case .overwrittenRange:
            for index in range(of: image, &numbers) { image.bytes[index] = UInt8(truncatingIfNeeded: numbers.next()) }
        case .hostileChunkField: chunkField(&image, &numbers)
        case .hostileBody: body(&image, &numbers, within: 0..<Int.max)
        case .hostileColumnSizes: body(&image, &numbers, within: 0..<52)
        case .hostileTrailer: trailer(&image, &numbers)
        case .hostileDirectory: directory(&image, &numbers)
        case .hostileFileHeader:
            image.set(Mutation.hostileNumber(&numbers), at: Int.random(in: 8..<104, using: &numbers))
            image.repair()
        case .swappedChunks: swap(&image, &numbers)
        }
    }

    /// A number that is likely to be wrong in an interesting way.
    static func hostileNumber(_ numbers: inout Numbers) -> UInt64 {
        switch numbers.next() % 8 {
        case 0: 0
        case 1: .max
        case 2: .max - numbers.next() % 300
        case 3: 1 << (numbers.next() % 64)
        case 4: (1 << (numbers.next() % 64)) - 1
        case 5: numbers.next() % 70_000
        case 6: UInt64(TTLOG_BODY_MAX) - 1 + numbers.next() % 3
        default: numbers.next()
        }
    }

    private func flipBits(_ image: inout LogImage, _ numbers: inout Numbers) {
        for _ in 0...(numbers.next() % 8) {
            image.flip(bit: Int.random(in: 0..<(image.bytes.count * 8), using: &numbers))
        }
    }

    private func range(of image: LogImage, _ numbers: inout Numbers) -> Range<Int> {
        let start = Int.random(in: 0..<image.bytes.count, using: &numbers)
        let length = numbers.next() & 1 == 0 ? Int(numbers.next() % 64) : Int(numbers.next() % 40) * 64
        return start..<min(image.bytes.count, start + length)
    }

    /// Inserts a copy of a chunk, or of some stretch, at another place.
    private func splice(_ image: inout LogImage, _ numbers: inout Numbers) {
        let chunks = image.chunks
        guard let from = chunks.randomElement(using: &numbers), let to = chunks.randomElement(using: &numbers) else {
            return
        }
        let end = min(image.end(ofChunkAt: from), image.bytes.count)
        let piece =
            numbers.next() & 1 == 0 ? Array(image.bytes[from..<end]) : Array(image.bytes[range(of: image, &numbers)])
        image.bytes.insert(contentsOf: piece, at: to + Int(numbers.next() % 2) * Int(numbers.next() % 300) % 64)
    }

    /// Puts hostile numbers into fields of a chunk header, its checksum right.
    private func chunkField(_ image: inout LogImage, _ numbers: inout Numbers) {
        guard let chunk = image.chunks.randomElement(using: &numbers) else { return }
        for _ in 0...(numbers.next() % 3) {
            // Sizes, stream, codec, vCPU, flags, epoch, part, cell, count, private size, ordinals, clocks, icounts, …
            let fields: [(Int, Int)] = [
                (24, 4), (28, 4), (32, 1), (33, 1), (34, 2), (36, 4), (40, 4), (44, 4), (48, 8), (56, 4), (60, 4),
                (64, 8),
                (72, 8), (80, 8), (88, 8), (96, 8), (104, 8), (112, 8), (120, 8), (152, 8),
            ]
            let (offset, size) = fields.randomElement(using: &numbers) ?? (24, 4)
            var value = Mutation.hostileNumber(&numbers)
            if numbers.next() & 3 == 0 {
                value = image.word(at: chunk + offset, UInt64.self) &+ (numbers.next() & 2) &- 1
            }
            for byte in 0..<size {
                image.bytes[chunk + offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
            }
        }
        image.repairChunk(at: chunk, withHash: numbers.next() & 1 == 0)
        if numbers.next() & 1 == 0 { dropDirectories(&image) }
    }

    /// Puts nonsense into a chunk's body, hash and checksum right.
    private func body(_ image: inout LogImage, _ numbers: inout Numbers, within part: Range<Int>) {
        let chunks = image.chunks.filter { image.storedSize(ofChunkAt: $0) > 0 }
        guard let chunk = chunks.randomElement(using: &numbers) else { return }
        let size = min(image.storedSize(ofChunkAt: chunk), part.upperBound)
        for _ in 0...(numbers.next() % 6) {
            let place = chunk + LogImage.chunkHeaderSize + Int.random(in: 0..<size, using: &numbers)
            if numbers.next() & 1 == 0 {
                image.set(UInt32(truncatingIfNeeded: Mutation.hostileNumber(&numbers)), at: place & ~3)
            } else if place < image.bytes.count {
                image.bytes[place] =
                    [0, 0xff, 0x80, 0x7f, UInt8(truncatingIfNeeded: numbers.next())]
                    .randomElement(using: &numbers) ?? 0
            }
        }
        image.repairChunk(at: chunk)
        dropDirectories(&image)
    }

    private func trailer(_ image: inout LogImage, _ numbers: inout Numbers) {
        guard let trailer = image.trailers.randomElement(using: &numbers) else { return }
        let fields = [12, 32, 40, 48]
        let field = fields.randomElement(using: &numbers) ?? 12
        let places = image.trailers + image.chunks
        let value =
            numbers.next() & 1 == 0
            ? UInt64(places.randomElement(using: &numbers) ?? 0) : Mutation.hostileNumber(&numbers)
        if field == 12 {
            image.set(UInt32(truncatingIfNeeded: value), at: trailer + field)
        } else {
            image.set(value, at: trailer + field)
        }
        image.repairTrailer(at: trailer)
    }

    /// Changes a header inside a directory: its checksum, the directory's hash and checksum right.
    private func directory(_ image: inout LogImage, _ numbers: inout Numbers) {
        let directories = image.chunks.filter { image.stream(ofChunkAt: $0) == UInt8(TTLOG_STREAM_DIRECTORY.rawValue) }
        guard let directory = directories.randomElement(using: &numbers) else { return }
        let entries = image.storedSize(ofChunkAt: directory) / LogImage.chunkHeaderSize
        guard entries > 0 else { return }
        let entry = directory + LogImage.chunkHeaderSize * (1 + Int.random(in: 0..<entries, using: &numbers))
        let field = Int.random(in: 1..<20, using: &numbers) * 8
        image.set(Mutation.hostileNumber(&numbers), at: entry + field)
        image.setChecksum(at: entry + 4, of: entry..<(entry + LogImage.chunkHeaderSize))
        image.repairChunk(at: directory)
    }

    /// Exchanges two chunks, with their own offsets corrected.
    private func swap(_ image: inout LogImage, _ numbers: inout Numbers) {
        let chunks = image.chunks
        guard let from = chunks.randomElement(using: &numbers), let to = chunks.randomElement(using: &numbers) else {
            return
        }
        let end = min(image.end(ofChunkAt: from), image.bytes.count, image.bytes.count - to + from)
        for index in from..<max(from, end) { image.bytes.swapAt(index, to + index - from) }
        image.repair()
        if numbers.next() & 1 == 0 { dropDirectories(&image) }
    }

    /// Takes the magic of all trailers away, so that the log must be walked.
    private func dropDirectories(_ image: inout LogImage) {
        for trailer in image.trailers { image.set(UInt64(0), at: trailer) }
    }
}
