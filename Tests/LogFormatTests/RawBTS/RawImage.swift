// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import Testing

/// The bytes of a raw file as a list of records, and what should be read from them: a model as simple as can be.
struct RawImage: Equatable {
    struct Record: Hashable {
        var from: UInt64
        var to: UInt64
        var last: UInt64
    }

    static let ones = Record(from: .max, to: .max, last: .max)

    var bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    init(_ records: [Record]) {
        bytes = records.flatMap { record in
            [record.from, record.to, record.last].flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
            }
        }
    }

    /// The complete records.
    var records: [Record] {
        stride(from: 0, to: bytes.count / 24 * 24, by: 24).map { offset in
            func word(_ number: Int) -> UInt64 {
                (0..<8).reduce(0) { $0 | UInt64(bytes[offset + number * 8 + $1]) << (8 * UInt64($1)) }
            }
            return Record(from: word(0), to: word(1), last: word(2))
        }
    }

    /// The branches of a file that is read in the extended form, or in the plain one.
    func branches(isExtended: Bool) -> [Branch] {
        var previous: (clock: UInt64, last: UInt64)?
        return records.dropFirst(isExtended ? 1 : 0).enumerated().map { index, record in
            var clock = isExtended ? record.last : UInt64(index)
            if isExtended, let before = previous, before.last == record.last, before.clock != .max {
                clock = before.clock + 1
            }
            previous = (clock, record.last)
            return Branch(clock: clock, from: record.from, to: record.to, icount: 0, label: BranchLabel(.unknown))
        }
    }

    /// Records as a guest might make them.
    static func sample(_ count: Int, isExtended: Bool, _ numbers: inout Numbers) -> [Record] {
        var clock = numbers.next() % 1_000_000
        var place: UInt64 = 0xffff_ffff_8100_0000
        let records = (0..<count).map { _ in
            let to = place &+ numbers.next() % 4096
            clock += numbers.next() % 50 == 0 ? 1 + numbers.next() % 100 : 1
            let record = Record(from: place, to: to, last: isExtended ? clock : numbers.next() & 0x10)
            place = to &+ numbers.next() % 64
            return record
        }
        return isExtended ? [ones] + records : records
    }
}

extension RawBTSFile {
    /// Everything that the cursor gives, with the parts that could not be read.
    func all(from: UInt64 = 0, to: UInt64 = .max) -> (branches: [Branch], skipped: [Damage]) {
        var result: [Branch] = []
        var cursor = branches(from: from, to: to)
        while cursor.nextBatch({ batch, range in
            #expect(!range.isEmpty && range.lowerBound >= 0 && range.upperBound <= batch.count)
            for index in range { result.append(batch[index]) }
        }) {}
        return (result, cursor.skipped)
    }
}
