// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import Testing

/// Files of raw 24-byte branch records.
@Suite struct RawBTSTests {
    private func open(_ bytes: [UInt8], _ body: (RawBTSFile) throws -> Void) throws {
        let scratch = Scratch()
        try writeBytes(bytes, scratch.file("raw"))
        try body(try RawBTSFile(path: scratch.file("raw")))
    }

    private func refusal(_ bytes: [UInt8]) throws -> String {
        let scratch = Scratch()
        try writeBytes(bytes, scratch.file("raw"))
        do throws(LogError) {
            _ = try RawBTSFile(path: scratch.file("raw"))
            return ""
        } catch {
            return error.description
        }
    }

    @Test(arguments: RawBTSFile.Form.allCases)
    func formsAreReadAsTheyStand(form: RawBTSFile.Form) throws {
        var numbers = Numbers(1)
        // More than two blocks of the reader.
        let image = RawImage(RawImage.sample(150_000, isExtended: form == .extended, &numbers))
        try open(image.bytes) { raw in
            #expect(raw.form == form && raw.damage == nil && raw.count == 150_000)
            let expected = image.branches(isExtended: form == .extended)
            #expect(raw.lastClock == expected.last?.clock)
            let read = raw.all()
            #expect(read.branches == expected && read.skipped.isEmpty)
        }
    }

    @Test(arguments: RawBTSFile.Form.allCases)
    func rangesAreThoseOfTheClock(form: RawBTSFile.Form) throws {
        var numbers = Numbers(2)
        let image = RawImage(RawImage.sample(70_000, isExtended: form == .extended, &numbers))
        let expected = image.branches(isExtended: form == .extended)
        try open(image.bytes) { raw in
            for _ in 0..<60 {
                let from = expected[Int(numbers.next() % 70_000)].clock &- numbers.next() % 3
                let to = from &+ numbers.next() % 3000
                #expect(raw.all(from: from, to: to).branches == expected.filter { $0.clock >= from && $0.clock < to })
            }
            #expect(raw.all(from: 5, to: 3).branches.isEmpty)
            #expect(raw.all(from: .max - 1).branches.isEmpty)
        }
    }

    /// A counter that repeats the one before adds 1 to the clock; other counters are used unchanged, wherever they step
    /// to.
    @Test func countersOfTheExtendedForm() throws {
        let counters: [UInt64] = [7, 8, 8, 8, 11, 12, 5, 5, 6, 7, .max - 1, .max, .max, 0, 1]
        let records = counters.map { RawImage.Record(from: 0x1000, to: 0x2000, last: $0) }
        try open(RawImage([RawImage.ones] + records).bytes) { raw in
            let clocks = raw.all().branches.map(\.clock)
            #expect(clocks == [7, 8, 9, 10, 11, 12, 5, 6, 6, 7, .max - 1, .max, .max, 0, 1])
        }
    }

    @Test func aLastRecordThatIsCutShortIsDamage() throws {
        var numbers = Numbers(3)
        for form in RawBTSFile.Form.allCases {
            let image = RawImage(RawImage.sample(100, isExtended: form == .extended, &numbers))
            for present in [1, 8, 23] {
                try open(image.bytes + image.bytes.prefix(present)) { raw in
                    #expect(raw.form == form && raw.count == 100)
                    let damage = try #require(raw.damage)
                    #expect(damage.offset == UInt64(image.bytes.count) && damage.length == UInt64(present))
                    #expect(damage.description.contains("record cut short: 24 bytes expected, \(present) present"))
                    #expect(raw.all().branches == image.branches(isExtended: form == .extended))
                }
            }
        }
        // Nothing but the record of ones.
        try open([UInt8](repeating: 0xff, count: 24)) { raw in
            #expect(raw.form == .extended && raw.count == 0 && raw.lastClock == 0 && raw.all().branches.isEmpty)
        }
    }

    /// The file that the reader has open becomes shorter.
    @Test func aFileThatShrinksIsDamage() throws {
        var numbers = Numbers(4)
        let scratch = Scratch()
        let image = RawImage(RawImage.sample(1000, isExtended: false, &numbers))
        try writeBytes(image.bytes, scratch.file("raw"))
        let raw = try RawBTSFile(path: scratch.file("raw"))
        #expect(truncate(scratch.file("raw"), 24 * 600 + 5) == 0)
        let read = raw.all()
        #expect(read.branches == Array(image.branches(isExtended: false).prefix(600)))
        #expect(read.skipped.map(\.offset) == [24 * 600] && read.skipped.map(\.lostRecords) == [400])
    }

    @Test func otherFilesAreRefused() throws {
        let text = Array(String(repeating: "not a branch at all\n", count: 600).utf8)
        #expect(try refusal(text).contains("offset 0: not a trace log and not raw BTS records: it begins with 0x"))
        #expect(try refusal(Array(try readBytes("/proc/self/exe").prefix(100_000))).contains("it is an ELF file"))
        #expect(try refusal([]).contains("the file has 0 bytes"))
        #expect(try refusal(Array(repeating: 1, count: 23)).contains("the file has 23 bytes"))
        #expect(try refusal(Array(repeating: 0, count: 24 * 1000)).contains("not raw BTS records"))
        var numbers = Numbers(5)
        #expect(try refusal((0..<24_000).map { _ in UInt8.random(in: 0...255, using: &numbers) }).contains("not raw"))
        // This reader refuses a log, and names the format.
        let scratch = Scratch()
        try SampleLog(branches: 60).write(to: scratch.file("log"))
        #expect(try InputFormat.recognize(path: scratch.file("log")) == .log)
        #expect(try InputFormat.recognize(path: scratch.path) == .runDirectory)
        #expect(try !refusal(readBytes(scratch.file("log"))).isEmpty)
        // One record in ten may be anything.
        var image = RawImage.sample(1000, isExtended: false, &numbers)
        for index in 0..<100 { image[index * 10].from = 0x1234_5678_9abc_def0 }
        try open(RawImage(image).bytes) { #expect($0.count == 1000) }
        image[1].to = 0x8000_0000_0000_0000
        #expect(try !refusal(RawImage(image).bytes).isEmpty)
    }

    @Test(arguments: RawBTSFile.Form.allCases)
    func whatIsWrittenIsRead(form: RawBTSFile.Form) throws {
        var numbers = Numbers(6)
        let scratch = Scratch()
        let image = RawImage(RawImage.sample(100_000, isExtended: form == .extended, &numbers))
        try writeBytes(image.bytes, scratch.file("raw"))
        let raw = try RawBTSFile(path: scratch.file("raw"))
        let writer = try RawBTSWriter(path: scratch.file("copy"), form: form)
        var branches = raw.branches()
        var problem: LogError?
        while branches.nextBatch({ batch, range in
            // In two parts: the writer's buffer ends in the middle of some.
            let middle = (range.lowerBound + range.upperBound) / 2
            do throws(LogError) {
                try writer.append(batch, range.lowerBound..<middle)
                try writer.append(batch, middle..<range.upperBound)
            } catch { problem = error }
        }) {}
        #expect(!FileManager.default.fileExists(atPath: scratch.file("copy")))
        try writer.close()
        #expect(problem == nil && writer.count == 100_000)
        let copy = RawImage(bytes: try readBytes(scratch.file("copy")))
        // The plain form loses the flags.
        let expected = RawImage(
            form == .plain ? image.records.map { RawImage.Record(from: $0.from, to: $0.to, last: 0) } : image.records)
        #expect(copy == expected)
    }

    @Test func existingFilesStay() throws {
        let scratch = Scratch()
        let path = scratch.file("out")
        try writeBytes([1, 2, 3], path)
        func problem(_ path: String, replaces: Bool = false) -> String {
            do throws(LogError) {
                _ = try RawBTSWriter(path: path, form: .plain, replaces: replaces)
                return ""
            } catch { return error.description }
        }
        #expect(problem(path).contains("exists already"))
        #expect(problem("/dev/null", replaces: true).contains("not a regular file"))
        #expect(problem(scratch.path, replaces: true).contains("not a regular file"))
        #expect(problem(scratch.path + "/no/such").contains("No such file"))
        // A writer that is released without `close()` leaves no file, and the earlier file unchanged.
        do { _ = try RawBTSWriter(path: path, form: .extended, replaces: true) }
        #expect(try readBytes(path) == [1, 2, 3])
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["out"])
        // One that comes into being while the file is written is not lost either.
        let other = scratch.file("other")
        do {
            let writer = try RawBTSWriter(path: other, form: .plain)
            try writeBytes([4], other)
            #expect(throws: LogError.self) { try writer.close() }
        }
        #expect(try readBytes(other) == [4])
        let writer = try RawBTSWriter(path: path, form: .extended, replaces: true)
        // Until then it has no name, where the file system knows such files (O_TMPFILE).
        let nameless = Glibc.open(scratch.path, 0o20_000_000 | O_DIRECTORY | O_WRONLY, 0o600)
        if nameless >= 0 {
            Glibc.close(nameless)
            #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted() == ["other", "out"])
        }
        try writer.close()
        #expect(try readBytes(path) == [UInt8](repeating: 0xff, count: 24))
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted() == ["other", "out"])
    }
}

/// 12,000 mutated raw files: no trap, no hang, no memory out of proportion. Every complete record is read unchanged, or
/// the file is refused.
@Suite(.timeLimit(.minutes(10)))
struct RawBTSMutationTests {
    static let files = 12_000
    static let shards = 4

    @Test(arguments: 0..<shards)
    func spoiledFiles(shard: Int) throws {
        let scratch = Scratch()
        let path = scratch.file("raw")
        var numbers = Numbers(UInt64(1000 + shard))
        let memoryBefore = try MutationTests.peakMemory()
        var (read, refused) = (0, 0)
        for round in 0..<(Self.files / Self.shards) {
            let isExtended = numbers.next() % 2 == 0
            let count = Int(numbers.next() % 400)
            var image = RawImage(RawImage.sample(count, isExtended: isExtended, &numbers))
            for _ in 0...(numbers.next() % 6) { spoil(&image.bytes, &numbers) }
            try writeBytes(image.bytes, path)
            let raw: RawBTSFile
            do throws(LogError) {
                raw = try RawBTSFile(path: path)
            } catch {
                #expect(error.description.contains("not raw BTS records") && error.offset == 0)
                refused += 1
                continue
            }
            read += 1
            let all = raw.all()
            let expected = image.branches(isExtended: raw.form == .extended)
            #expect(all.branches == expected && all.skipped.isEmpty, "shard \(shard), round \(round)")
            #expect(raw.count == UInt64(expected.count) && raw.lastClock < .max || raw.form == .extended)
            #expect((raw.damage == nil) == (image.bytes.count % 24 == 0))
            let from = numbers.next() >> (numbers.next() % 64)
            let to = numbers.next() >> (numbers.next() % 64)
            #expect(
                raw.all(from: from, to: to).branches
                    == expected.filter { $0.clock >= from && ($0.clock < to || to == .max) })
        }
        #expect(read > 500 && refused > 100)
        #expect(try MutationTests.peakMemory() - memoryBefore < 256 << 20)
    }

    private func spoil(_ bytes: inout [UInt8], _ numbers: inout Numbers) {
        guard !bytes.isEmpty else { return }
        let place = Int(numbers.next() % UInt64(bytes.count))
        switch numbers.next() % 8 {
        case 0: bytes[place] ^= 1 << UInt8(numbers.next() % 8)
        case 1: bytes.removeSubrange(place...)
        case 2: bytes.insert(UInt8(truncatingIfNeeded: numbers.next()), at: place)
        case 3: bytes += (0..<(numbers.next() % 100)).map { UInt8(truncatingIfNeeded: $0) }
        case 4:
            // A word of one of the records.
            let word: [UInt64] = [0, 1, .max, .max - 1, 1 << 63, numbers.next()]
            let value = word[Int(numbers.next() % 6)]
            for index in place / 8 * 8..<min(bytes.count, place / 8 * 8 + 8) {
                bytes[index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index % 8)))
            }
        case 5: bytes.removeSubrange(place..<min(bytes.count, place + Int(numbers.next() % 40)))
        case 6: for index in place..<min(bytes.count, place + 600) { bytes[index] = 0xff }
        default:
            for index in place..<min(bytes.count, place + 300) {
                bytes[index] = UInt8(truncatingIfNeeded: numbers.next())
            }
        }
    }
}
