// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Reads a file of text line by line, with bounded memory.
///
///     var lines = LineReader(file)
///     while let line = lines.next() {
///         guard parse(line) else { lines.report("a branch expected"); continue }
///     }
///     return lines.damage.all
///
/// A line that is longer than ``lineLimit``, and a last line without a line feed, are damage and are not returned: the
/// file was cut short there.
struct LineReader: ~Copyable {
    /// The bytes of a line at most.
    static let lineLimit = 1 << 20
    private static let blockSize = 1 << 20

    let file: InputFile
    /// The damage so far.
    var damage = DamageList()
    /// The number of the line that was returned last, from 1.
    private(set) var number: UInt64 = 0
    /// The offset of that line in the file.
    private(set) var offset: UInt64 = 0

    private let buffer: UnsafeMutableRawPointer
    /// The bytes of the buffer that hold text, and those that are not returned yet.
    private var filled = 0
    private var upcoming = 0
    /// The offset in the file of the buffer's first byte.
    private var bufferOffset: UInt64 = 0
    private var lineStart = 0
    private var isAtEnd = false

    init(_ file: InputFile) {
        self.file = file
        buffer = .allocate(byteCount: LineReader.lineLimit + LineReader.blockSize, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// The share of the file that has been returned, 0 to 1.
    var share: Double { Double(endOffset) / Double(max(file.size, 1)) }

    /// The offset after the line that was returned last.
    var endOffset: UInt64 { bufferOffset &+ UInt64(upcoming) }

    /// The next line, without its end; nil at the end of the file. Valid until the next call.
    mutating func next() -> UnsafeRawBufferPointer? {
        while true {
            lineStart = upcoming
            offset = bufferOffset &+ UInt64(lineStart)
            if let end = findEnd(from: lineStart) {
                number &+= 1
                upcoming = end &+ 1
                return line(upTo: end)
            }
            guard filled > lineStart else { return nil }
            number &+= 1
            if isAtEnd {
                let length = UInt64(filled - lineStart)
                damage.add(
                    Damage(
                        file: file.path, offset: offset, length: length,
                        what: .line(number: number, problem: "the file ends within this line"), lostRecords: 1))
                upcoming = filled
                return nil
            }
            skipOverlong()
        }
    }

    /// Extends the line that was returned last by the line after it, for a field that contains a line feed; nil at the
    /// end of the file or beyond the limit. Then the next line is still to come.
    mutating func extended() -> UnsafeRawBufferPointer? {
        guard let end = findEnd(from: upcoming) else { return nil }
        number &+= 1
        upcoming = end &+ 1
        return line(upTo: end)
    }

    /// Where a line could not be read, to report it or to return to it.
    struct Mark {
        fileprivate var start, next: Int
        var number, offset, bufferOffset: UInt64
    }

    /// The line that was returned last.
    var mark: Mark {
        Mark(start: lineStart, next: upcoming, number: number, offset: offset, bufferOffset: bufferOffset)
    }

    /// Returns to a line after ``extended()``.
    mutating func `return`(to mark: Mark) {
        // The buffer may have moved its content to its beginning since.
        let moved = Int(truncatingIfNeeded: bufferOffset &- mark.bufferOffset)
        (lineStart, upcoming) = (mark.start - moved, mark.next - moved)
        number = mark.number
    }

    /// Reports that the line that was returned last cannot be read.
    mutating func report(_ problem: String) {
        damage.add(
            Damage(
                file: file.path, offset: offset, length: endOffset &- offset,
                what: .line(number: number, problem: problem), lostRecords: 1))
    }

    private func line(upTo end: Int) -> UnsafeRawBufferPointer {
        var count = end - lineStart
        if count > 0, buffer.load(fromByteOffset: lineStart + count - 1, as: UInt8.self) == 0x0d { count -= 1 }
        return UnsafeRawBufferPointer(start: buffer + lineStart, count: count)
    }

    /// The index of the line feed at or after `place`; nil if the file ends before, or the line becomes too long. Moves
    /// the content of the buffer: `lineStart` stays the beginning of the line.
    private mutating func findEnd(from place: Int) -> Int? {
        var searched = place
        while true {
            if searched < filled, let found = memchr(buffer + searched, 0x0a, filled - searched) {
                return UnsafeRawPointer(found) - UnsafeRawPointer(buffer)
            }
            searched = filled
            let before = lineStart
            guard !isAtEnd, filled - lineStart < LineReader.lineLimit, fill() else { return nil }
            searched -= before - lineStart
        }
    }

    /// Moves the line to the beginning of the buffer and reads the next block after it. Returns false at the end.
    private mutating func fill() -> Bool {
        let kept = filled - lineStart
        if lineStart > 0 {
            memmove(buffer, buffer + lineStart, kept)
            bufferOffset &+= UInt64(lineStart)
            upcoming -= lineStart
            lineStart = 0
            filled = kept
        }
        let room = UnsafeMutableRawBufferPointer(start: buffer + filled, count: LineReader.blockSize)
        let place = bufferOffset &+ UInt64(filled)
        do throws(LogError) {
            let count = try file.read(room, at: place)
            filled += count
            isAtEnd = count < room.count
            return count > 0
        } catch {
            damage.add(
                Damage(file: file.path, offset: error.offset ?? place, length: 0, what: error.damageKind))
            isAtEnd = true
            return false
        }
    }

    /// Skips the rest of a line that is too long, and reports it.
    private mutating func skipOverlong() {
        let start = offset
        var found = false
        while !found {
            lineStart = filled
            upcoming = filled
            // Nothing is read from the holes of a sparse file.
            let place = bufferOffset &+ UInt64(filled)
            let data = file.nextData(from: place)
            if data > place {
                bufferOffset = data
                (filled, lineStart, upcoming) = (0, 0, 0)
            }
            guard fill() else { break }
            if let end = memchr(buffer, 0x0a, filled) {
                upcoming = UnsafeRawPointer(end) - UnsafeRawPointer(buffer) + 1
                found = true
            }
        }
        if !found { upcoming = filled }
        let problem = "longer than \(LineReader.lineLimit) bytes, skipped"
        damage.add(
            Damage(
                file: file.path, offset: start, length: endOffset &- start,
                what: .line(number: number, problem: problem), lostRecords: 1))
    }
}
