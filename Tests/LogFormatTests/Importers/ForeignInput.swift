// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

/// A file of a foreign format for one test, and what is read from it.
struct ForeignInput {
    let scratch: TemporaryDirectory
    let path: String

    init(_ bytes: [UInt8], name: String = "input") throws {
        scratch = try temporaryDirectory()
        path = scratch.file(name)
        try ReplayBinEditor.write(bytes, to: path)
    }

    init(_ text: String) throws { try self.init(Array(text.utf8)) }

    /// The log that is imported from it.
    func log() throws -> LogFile { try LogFile.open(path: path) }
}

extension LogFile {
    /// All branches of a vCPU.
    func allBranches(vcpu: UInt16 = 0) -> [Branch] {
        var result: [Branch] = []
        var cursor = branches(vcpu: vcpu)
        while let branch = cursor.next() { result.append(branch) }
        #expect(cursor.skipped.isEmpty)
        return result
    }

    /// All events of a vCPU.
    func allEvents(_ streams: [LogStream] = [.event, .access], vcpu: UInt16 = 0) -> [Event] {
        var result: [Event] = []
        var cursor = events(streams, vcpu: vcpu)
        while let event = cursor.next() { result.append(event) }
        #expect(cursor.skipped.isEmpty)
        return result
    }

    /// The clock at which each epoch of a vCPU's branches begins.
    func epochs(vcpu: UInt16 = 0) -> [UInt64] {
        var result: [UInt64] = []
        var last: UInt32?
        for chunk in chunks(.branch, vcpu: vcpu) where chunk.epoch != last {
            result.append(chunk.clockFirst)
            last = chunk.epoch
        }
        return result
    }
}

/// Spoils files of a format, and checks that they are read to their end or refused with an error.
struct ForeignMutations {
    var numbers: RandomNumbers
    let seed: [UInt8]
    /// Texts that belong to the format, which are put at any place.
    var pieces: [String] = []

    init(_ seed: [UInt8], number: UInt64, pieces: [String] = []) {
        self.seed = seed
        self.pieces = pieces
        numbers = RandomNumbers(seed: number)
    }

    mutating func next() -> [UInt8] {
        var bytes = seed
        for _ in 0...numbers.below(4) where !bytes.isEmpty {
            let place = Int(numbers.below(UInt64(bytes.count)))
            let length = min(bytes.count - place, 1 + Int(numbers.below(numbers.below(4) == 0 ? 400 : 12)))
            switch numbers.below(7) {
            case 0: bytes[place] ^= 1 << UInt8(numbers.below(8))
            case 1: bytes.removeSubrange(place..<(place + length))
            case 2: bytes.removeSubrange(place...)
            case 3:
                let from = Int(numbers.below(UInt64(seed.count)))
                bytes.insert(contentsOf: seed[from..<min(seed.count, from + length)], at: place)
            case 4: for index in place..<(place + length) { bytes[index] = UInt8(truncatingIfNeeded: numbers.next()) }
            case 5: for index in place..<(place + length) { bytes[index] = numbers.below(2) == 0 ? 0 : 0xff }
            default:
                if let piece = pieces.randomElement(using: &numbers) { bytes.insert(contentsOf: piece.utf8, at: place) }
            }
        }
        return bytes
    }

    /// Reads mutated files, `usual` of them or TT_HOSTILE_INPUTS. Returns which share could be read, and which share of
    /// all had damage.
    mutating func run(_ usual: Int) throws -> (read: Double, damaged: Double) {
        let input = try ForeignInput([])
        let count = hostileInputs(usual)
        var (read, damaged) = (0, 0)
        for _ in 0..<count {
            let bytes = next()
            try ReplayBinEditor.write(bytes, to: input.path)
            do {
                let source = try LogSource(path: input.path, needs: [])
                guard let log = source.log else { continue }
                read += 1
                damaged += log.structuralDamage.isEmpty ? 0 : 1
                let size = try InputFileSize.of(input.path)
                #expect(log.structuralDamage.allSatisfy { $0.offset <= size })
                let records = log.vcpus.reduce(0) {
                    $0 + log.allBranches(vcpu: $1).count + log.allEvents(vcpu: $1).count
                }
                let expected = log.chunks.filter { $0.stream != .meta }.reduce(0) { $0 + $1.count }
                #expect(records == expected, "\(bytes)")
            } catch is LogError {}
        }
        return (Double(read) / Double(count), Double(damaged) / Double(count))
    }
}

enum InputFileSize {
    static func of(_ path: String) throws -> UInt64 { UInt64(try readBytes(path).count) }
}
