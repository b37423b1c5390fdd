// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Testing

@Suite("Damage is reported, skipped, and never believed")
struct DamageTests {
    /// Opens an image through a file.
    static func open(_ image: LogImage, _ scratch: Scratch) throws -> LogFile {
        try writeBytes(image.bytes, scratch.file("log"))
        return try LogFile(path: scratch.file("log"))
    }

    @Test("the sample is undamaged", arguments: [false, true])
    func whole(isCompressed: Bool) throws {
        let scratch = Scratch()
        let log = try DamageTests.open(SampleLog(isCompressed: isCompressed).image(), scratch)
        #expect(log.completeness == .closed)
        #expect(log.structuralDamage == [])
        let verification = log.verify()
        #expect(verification.isIntact)
        #expect(verification.damage == [])
        #expect(verification.recordsRead[.branch] == 400)
        let contents = Contents(log)
        #expect(contents.branches.count == 400)
        #expect(contents.events.count == 46 + 100 + 3)
        #expect(log.bytesRead > 0)
    }

    @Test("one flipped bit in each structure is found by verify, and what is read is right")
    func bitFlips() throws {
        let scratch = Scratch()
        let image = try SampleLog().image()
        let original = try Contents(DamageTests.open(image, scratch))
        var structures: [(String, Range<Int>)] = [("file header", 8..<4096)]
        for offset in image.chunks {
            structures.append(("chunk header", offset..<(offset + 192)))
            structures.append(("body", (offset + 192)..<image.end(ofChunkAt: offset)))
        }
        for offset in image.trailers { structures.append(("trailer", offset..<(offset + 64))) }
        var numbers = Numbers(5)
        for (name, range) in structures where !range.isEmpty {
            var damaged = image
            damaged.flip(bit: Int.random(in: (range.lowerBound * 8)..<(range.upperBound * 8), using: &numbers))
            let log = try DamageTests.open(damaged, scratch)
            let verification = log.verify()
            #expect(!verification.damage.isEmpty, "\(name) at \(range)")
            let slack: UInt64 = 64
            #expect(
                verification.damage.contains {
                    $0.offset <= range.upperBound && $0.offset + max($0.length, 4096) + slack >= range.lowerBound
                }, "\(name) at \(range): \(verification.damage)")
            #expect(Contents(log).differences(from: original) == [], "\(name) at \(range)")
        }
    }

    @Test("a damaged body costs its own records only, and they are counted")
    func body() throws {
        let scratch = Scratch()
        var image = try SampleLog().image()
        let victim = image.chunks.filter { image.stream(ofChunkAt: $0) == 1 }[5]
        image.flip(bit: (victim + 192 + 40) * 8)
        let log = try DamageTests.open(image, scratch)
        let chunk = try #require(log.chunks.first { $0.offset == UInt64(victim) })
        var batch = BranchBatch()
        let error = #expect(throws: LogError.self) { try log.decode(chunk, into: &batch) }
        #expect(error?.offset == UInt64(victim))
        #expect(batch.count == 0)
        let contents = Contents(log)
        #expect(contents.branches.count == 400 - chunk.count)
        #expect(contents.damage.map(\.lostRecords) == [UInt64(chunk.count)])
        #expect(log.verify().recordsLost == UInt64(chunk.count))
    }

    @Test("a damaged chunk header of a closed log costs nothing: the directory has it")
    func headerInDirectory() throws {
        let scratch = Scratch()
        var image = try SampleLog().image()
        image.flip(bit: (image.chunks[3] + 60) * 8)
        let log = try DamageTests.open(image, scratch)
        #expect(Contents(log).branches.count == 400)
        #expect(log.verify().damage.count == 1)
    }

    @Test("a damaged chunk header of an unclosed log costs that chunk; how much is known from the ordinals")
    func headerWithoutDirectory() throws {
        let scratch = Scratch()
        var image = try SampleLog().image()
        let directory = try #require(image.chunks.first { image.stream(ofChunkAt: $0) == 5 })
        image.bytes.removeSubrange(directory...)
        let victim = image.chunks.filter { image.stream(ofChunkAt: $0) == 1 }[4]
        let end = image.end(ofChunkAt: victim)
        image.flip(bit: (victim + 61) * 8)
        let log = try DamageTests.open(image, scratch)
        #expect(log.completeness == .unclosed(openFileFound: false))
        let region = try #require(log.structuralDamage.first { $0.offset == UInt64(victim) && $0.length > 0 })
        #expect(region.length == UInt64(end - victim))
        #expect(log.structuralDamage.contains { $0.lostRecords == 16 })
        #expect(log.structuralDamage.contains { $0.what == .openFileMissing })
        #expect(Contents(log).branches.count == 400 - 16)
    }

    @Test("a log cut short anywhere gives back all records before the cut")
    func truncation() throws {
        let scratch = Scratch()
        let image = try SampleLog().image()
        let original = try Contents(DamageTests.open(image, scratch))
        var boundaries = Set([4096, image.bytes.count - 1, image.bytes.count - 63, image.bytes.count - 64])
        for offset in image.chunks {
            for place in [offset, offset + 1, offset + 191, offset + 192, offset + 193] { boundaries.insert(place) }
            boundaries.insert(offset + 192 + image.storedSize(ofChunkAt: offset))
        }
        for offset in image.trailers { boundaries.formUnion([offset, offset + 1, offset + 64]) }
        var last = 0
        for boundary in boundaries.sorted() where boundary < image.bytes.count {
            var cut = image
            cut.bytes.removeSubrange(boundary...)
            let log = try DamageTests.open(cut, scratch)
            let contents = Contents(log)
            #expect(contents.differences(from: original) == [])
            #expect(contents.count >= last)
            last = contents.count
            let isAfterTrailer = image.trailers.contains { $0 + 64 == boundary }
            #expect((log.completeness == .closed) == isAfterTrailer, "cut at \(boundary)")
            #expect(log.structuralDamage.isEmpty == isAfterTrailer)
        }
        #expect(last == original.count)
        for size in [0, 1, 8, 4095] {
            try writeBytes(Array(image.bytes.prefix(size)), scratch.file("log"))
            let error = #expect(throws: LogError.self) { try LogFile(path: scratch.file("log")) }
            #expect(error?.kind == .tooShort(UInt64(size)))
        }
    }

    @Test("a log with a damaged file header is read, with the chunks' nonce")
    func fileHeader() throws {
        let scratch = Scratch()
        var image = try SampleLog().image()
        image.flip(bit: 24 * 8)
        let log = try DamageTests.open(image, scratch)
        #expect(log.header.nonce == SampleLog.nonce)
        #expect(log.structuralDamage.map(\.offset) == [0])
        #expect(Contents(log).branches.count == 400)
    }

    @Test("a newer version and other files are refused by name")
    func refused() throws {
        let scratch = Scratch()
        var image = try SampleLog().image()
        image.set(UInt32(2), at: 8)
        image.repairFileHeader()
        var error = #expect(throws: LogError.self) { try DamageTests.open(image, scratch) }
        #expect(error?.kind == .unsupportedVersion(2))
        #expect(
            error?.description
                == "\(scratch.file("log")): offset 8: log version 2; this program reads version 1: use a newer one")
        image.set(UInt64(0x7f45_4c46), at: 0)
        error = #expect(throws: LogError.self) { try DamageTests.open(image, scratch) }
        #expect(error?.kind == .notALog(found: 0x7f45_4c46))
        error = #expect(throws: LogError.self) { try LogFile(path: scratch.file("missing")) }
        #expect(error?.kind == .cannotOpen(errno: 2))
        error = #expect(throws: LogError.self) { try LogFile(path: "/dev/null") }
        #expect(error?.kind == .notARegularFile)
    }

    @Test("a trailer chain that leads in circles, or outside the file, is not followed")
    func circularTrailers() throws {
        let scratch = Scratch()
        let image = try SampleLog().image()
        let last = try #require(image.trailers.last)
        for previous in [UInt64(last), UInt64(last) + 64, .max, .max - 63, 1, 4096] {
            var circular = image
            circular.set(previous, at: last + 40)
            circular.repairTrailer(at: last)
            let log = try DamageTests.open(circular, scratch)
            let fields = log.structuralDamage.map(\.what).map {
                if case .field(.trailer, _, _) = $0 { true } else { $0 == .missing(structure: .trailer) }
            }
            #expect(fields == [true])
            #expect(Contents(log).branches.count == 400)
        }
    }

    @Test("digests and chains that do not follow from the bodies are found")
    func digests() throws {
        let scratch = Scratch()
        let image = try SampleLog().image()
        let victim = image.chunks.filter { image.stream(ofChunkAt: $0) == 1 }[2]
        for (field, name) in [(120, "path"), (128, "label"), (136, "position")] {
            var wrong = image
            wrong.set(UInt64(1), at: victim + field)
            wrong.repairChunk(at: victim)
            let directory = try #require(image.chunks.first { image.stream(ofChunkAt: $0) == 5 })
            wrong.bytes.removeSubrange(directory...)
            let log = try DamageTests.open(wrong, scratch)
            let chunk = try #require(log.chunks.first { $0.offset == UInt64(victim) })
            #expect(try !log.checkDigests(chunk))
            let found = log.verify().damage.filter { $0.offset == UInt64(victim) }
            #expect(
                found.contains {
                    if case .digest(let digestClass, 1, _) = $0.what { digestClass.name == name } else { false }
                })
        }
        var wrong = image
        wrong.set(UInt64(1), at: victim + 152)
        wrong.repairChunk(at: victim)
        let log = try DamageTests.open(wrong, scratch)
        #expect(log.structuralDamage == [])
        #expect(log.verify().damage.contains { if case .directory("chain", _, 1) = $0.what { true } else { false } })
    }
}
