// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import Testing

/// 10,000 mutated logs: no trap, no hang, no memory out of proportion. Every reported problem has a place in the file,
/// and every record that checksums protect is read as it was written.
@Suite("Mutated logs", .timeLimit(.minutes(10)))
struct MutationTests {
    static let logs = 10_000
    static let shards = 8

    /// The logs that are spoiled: raw, compressed, with images of chunks inside payloads, in mode digest.
    private static func images() throws -> [LogImage] {
        var small = SampleLog(branches: 60)
        let raw = try small.image()
        small.isCompressed = true
        let compressed = try small.image()
        small.options.mode = .digest
        small.options.keptCells = 1
        return [raw, compressed, try small.image(), try withImagesInPayloads(of: raw)]
    }

    /// A log whose payloads hold chunks of the same log, nonce and all, as a guest would have to guess them.
    private static func withImagesInPayloads(of image: LogImage) throws -> LogImage {
        let scratch = Scratch()
        var options = LogWriter.Options()
        options.nonce = SampleLog.nonce
        options.isCompressed = false
        options.branchCellShift = 4
        options.eventChunkMax = 4
        let writer = try LogWriter(path: scratch.file("log"), options: options)
        for (number, chunk) in image.chunks.enumerated() {
            let end = min(image.end(ofChunkAt: chunk), image.bytes.count)
            // As many bytes before it that some of the images begin at a multiple of 64.
            let padding = [UInt8](repeating: 0, count: (number * 4) % 64)
            writer.event(
                Event(
                    stream: .event, kind: .hypercallResult, clock: UInt64(number),
                    payload: padding + image.bytes[chunk..<end]))
            writer.branch(from: 1, to: 2, icount: UInt64(number), label: BranchLabel(.jmp))
        }
        try writer.close()
        return LogImage(bytes: try readBytes(scratch.file("log")))
    }

    /// Bytes of memory that the process has had at most (VmHWM).
    static func peakMemory() throws -> Int {
        let status = String(decoding: try readBytes("/proc/self/status"), as: UTF8.self)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }) << 10
    }

    /// Reads everything there is to read.
    private static func exercise(_ log: LogFile) -> Contents {
        let contents = Contents(log)
        _ = (log.attributes, log.runEnd?.text, log.comparableEnd(vcpu: 1)?.reason, log.header.features.names)
        for chunk in log.chunks { _ = try? log.checkDigests(chunk) }
        return contents
    }

    @Test("are read without a trap, and nothing wrong is believed", arguments: 0..<shards)
    func mutated(shard: Int) throws {
        let scratch = Scratch()
        let path = scratch.file("log")
        let images = try MutationTests.images()
        let originals = try images.map { image in
            try writeBytes(image.bytes, path)
            return MutationTests.exercise(try LogFile(path: path))
        }
        var numbers = Numbers(UInt64(shard))
        let memoryBefore = try MutationTests.peakMemory()
        for round in 0..<(MutationTests.logs / MutationTests.shards) {
            let number = Int(numbers.next() % UInt64(images.count))
            let mutation = Mutation.allCases.randomElement(using: &numbers) ?? .bitFlips
            var image = images[number]
            mutation.apply(to: &image, &numbers)
            try writeBytes(image.bytes, path)
            let label: Comment = "shard \(shard), round \(round), \(mutation)"
            let log: LogFile
            do throws(LogError) {
                log = try LogFile(path: path)
            } catch {
                #expect(error.offset != nil || image.bytes.count < LogImage.headerSize, label)
                continue
            }
            let contents = MutationTests.exercise(log)
            let verification = log.verify()
            let size = UInt64(image.bytes.count)
            #expect(verification.damage.allSatisfy { $0.offset <= size && $0.length <= size }, label)
            #expect(contents.damage.allSatisfy { $0.offset <= size && !$0.description.isEmpty }, label)
            if mutation.isBlind {
                #expect(contents.differences(from: originals[number]) == [], label)
                #expect(!verification.damage.isEmpty || image.bytes == images[number].bytes, label)
                #expect(contents.count == originals[number].count || !contents.damage.isEmpty, label)
            }
            if round % 50 == 0 { _ = try? slice(log, to: scratch.file("slice"), from: 10, to: 1000) }
        }
        #expect(try MutationTests.peakMemory() - memoryBefore < 512 << 20)
    }

    @Test("open files, spoiled, cost what they held and nothing else", arguments: 0..<2)
    func openFiles(shard: Int) throws {
        let scratch = Scratch()
        let path = scratch.file("log")
        try SampleLog(branches: 60, isAbandoned: true).write(to: path)
        let original = MutationTests.exercise(try LogFile(path: path))
        // The slots' last pages are empty: bytes after the last unit in use need not be rewritten each time.
        let open = LogImage(bytes: try readBytes(path + ".open"))
        let sealed = Contents(try openWithout(path))
        var numbers = Numbers(UInt64(100 + shard))
        for round in 0..<300 {
            var image = open
            for _ in 0...(numbers.next() % 4) {
                switch numbers.next() % 4 {
                case 0: image.set(Mutation.hostileNumber(&numbers), at: Int(numbers.next() % 176))
                case 1: image.set(Mutation.hostileNumber(&numbers), at: 4096 + Int(numbers.next() % 900))
                case 2:
                    let slot = Int(
                        image.word(at: 4096 + Int(numbers.next() % 14) * 64, UInt64.self) % UInt64(image.bytes.count))
                    image.set(Mutation.hostileNumber(&numbers), at: slot + Int(numbers.next() % 400))
                default:
                    if numbers.next() % 8 == 0 {
                        image.bytes.removeSubrange(Int(numbers.next() % UInt64(image.bytes.count))...)
                    }
                }
            }
            let isRepaired = round & 1 == 0
            if isRepaired { image.repairOpenFile() }
            try writeBytes(image.bytes, path + ".open")
            let log = try LogFile(path: path)
            let contents = MutationTests.exercise(log)
            #expect(sealed.branchSet.isSubset(of: contents.branchSet), "round \(round)")
            #expect(contents.count <= original.count + 2000)
            #expect(log.verify().chunks == log.chunks.count)
        }
    }

    /// The log without its open file.
    private func openWithout(_ path: String) throws -> LogFile {
        try FileManager.default.moveItem(atPath: path + ".open", toPath: path + ".aside")
        defer { try? FileManager.default.moveItem(atPath: path + ".aside", toPath: path + ".open") }
        return try LogFile(path: path)
    }
}
