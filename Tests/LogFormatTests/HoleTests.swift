// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LogFormat
import Testing

/// Sparse files: a hole takes no disk space and reads as zeros, terabytes of them.
@Suite("Logs with holes", .timeLimit(.minutes(2)))
struct HoleTests {
    private static let terabyte: Int64 = 1 << 40

    @Test("a hole after the trailer is skipped and reported")
    func afterTrailer() throws {
        let scratch = Scratch()
        let path = scratch.file("log")
        try SampleLog().write(to: path)
        let whole = try LogFile(path: path)
        #expect(truncate(path, off_t(4 * HoleTests.terabyte)) == 0)
        let log = try LogFile(path: path)
        #expect(log.chunks.count == whole.chunks.count)
        #expect(log.completeness != .closed)
        #expect(!log.structuralDamage.isEmpty)
        #expect(!log.verify().isIntact)
    }

    @Test("a hole in the middle is skipped: the chunks after it are read")
    func inTheMiddle() throws {
        let scratch = Scratch()
        let path = scratch.file("log")
        var image = try SampleLog().image()
        let victim = image.chunks[3]
        let end = image.end(ofChunkAt: victim)
        image.bytes.replaceSubrange(victim..<end, with: [UInt8](repeating: 0, count: end - victim))
        try writeBytes(image.bytes, path)
        #expect(truncate(path, off_t(HoleTests.terabyte / 2)) == 0)
        let log = try LogFile(path: path)
        #expect(log.chunks.count > 10)
        #expect(!log.verify().isIntact)
    }

    @Test("a header and a hole of a terabyte is a log without records")
    func headerOnly() throws {
        let scratch = Scratch()
        let path = scratch.file("log")
        try writeBytes(Array(try SampleLog().image().bytes.prefix(LogImage.headerSize)), path)
        #expect(truncate(path, off_t(HoleTests.terabyte)) == 0)
        let log = try LogFile(path: path)
        #expect(log.chunks.isEmpty)
        #expect(!log.verify().isIntact)
    }
}
