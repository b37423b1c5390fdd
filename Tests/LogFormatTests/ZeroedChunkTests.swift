// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Testing

/// Chunks and directory headers overwritten with zeros.
@Suite("Zeroed chunks")
struct ZeroedChunkTests {
    private static func zero(_ image: inout LogImage, _ range: Range<Int>) {
        image.bytes.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
    }

    @Test("closed: the trailer finds the directory without its header, and the loss is counted")
    func closed() throws {
        let scratch = Scratch()
        var image = try SampleLog().image()
        let events = image.chunks.filter { image.stream(ofChunkAt: $0) == 2 }
        let victim = try #require(events.last)
        ZeroedChunkTests.zero(&image, victim..<image.end(ofChunkAt: victim))
        for directory in image.chunks where image.stream(ofChunkAt: directory) == 5 {
            ZeroedChunkTests.zero(&image, directory..<(directory + LogImage.chunkHeaderSize))
        }
        try writeBytes(image.bytes, scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        let lost = try #require(log.chunks.first { $0.offset == UInt64(victim) })
        #expect(lost.stream == .event && lost.count > 0)
        #expect(log.verify().recordsLost == UInt64(lost.count))
        #expect(!log.mayLackTail(.event, vcpu: lost.vcpu))
    }

    @Test("unclosed: what was lost is unknown, and streams that end before it may lack records")
    func unclosed() throws {
        let scratch = Scratch()
        var image = try SampleLog().image()
        let directory = try #require(image.chunks.first { image.stream(ofChunkAt: $0) == 5 })
        image.bytes.removeSubrange(directory...)
        let events = image.chunks.filter { image.stream(ofChunkAt: $0) == 2 }
        let victim = try #require(events.last)
        let vcpu = image.word(at: victim + 34, UInt16.self)
        ZeroedChunkTests.zero(&image, victim..<image.end(ofChunkAt: victim))
        try writeBytes(image.bytes, scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.mayLackTail(.event, vcpu: vcpu))
        let verification = log.verify()
        #expect(!verification.isIntact && verification.mayHaveLostMore)
    }
}
