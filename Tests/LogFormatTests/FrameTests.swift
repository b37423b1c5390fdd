// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc
import LogFormat
import Testing

/// Compressed bodies: the frames that the writer makes, and columns read alone from those and from any other frames.
@Suite("Frames of a body")
struct FrameTests {
    /// A chunk of 40,000 branches as the writer makes it.
    private let sample: BodySample
    private static let parts: [BranchBatch.Columns] = [
        .path, .from, .to, .label, .icount, [.path, .label], [.to, .icount], [.label, .icount],
    ]

    init() throws {
        sample = try BodySample(branches: 40_000)
    }

    @Test("the writer's frames lie on the columns of branches") func written() throws {
        let frames = sample.frames(of: sample.stored)
        #expect(frames.map(\.raw.lowerBound) == [0] + sample.columnPlaces)
        #expect(frames.last?.raw.upperBound == sample.raw.count)
    }

    @Test("a short body is one frame") func short() throws {
        let short = try BodySample(branches: 500)
        #expect(short.frames(of: short.stored).count == 1)
    }

    /// Bodies whose raw form is right: one frame as in old logs, and what a foreign writer may make.
    @Test(arguments: BodySample.Layout.allCases) func layouts(_ layout: BodySample.Layout) throws {
        let log = try sample.log(sample.body(layout))
        #expect(try sample.contents(log, .all) == sample.expected(.all))
        for part in FrameTests.parts {
            #expect(try sample.contents(log, part) == sample.expected(part), "\(layout), \(part)")
        }
    }

    /// What no reader takes, whichever columns it wants.
    @Test(arguments: BodySample.Damage.allCases) func damage(_ damage: BodySample.Damage) throws {
        let log = try sample.log(sample.damaged(damage))
        for part in FrameTests.parts + [.all] {
            let error = #expect(throws: LogError.self) { try sample.contents(log, part) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("decompress"), "\(damage), \(part)")
        }
    }

    /// A frame that is not wanted is not decompressed: damage in it that the body's hash does not show costs nothing.
    @Test func unwantedFramesAreSkipped() throws {
        var stored = sample.stored
        let labels = sample.frames(of: stored)[4].stored
        for place in (labels.upperBound - 40)..<labels.upperBound { stored[place] ^= 0x55 }
        let log = try sample.log(stored)
        #expect(throws: LogError.self) { try sample.contents(log, .all) }
        #expect(throws: LogError.self) { try sample.contents(log, .label) }
        #expect(try sample.contents(log, .path) == sample.expected(.path))
        #expect(try sample.contents(log, .icount) == sample.expected(.icount))
    }

    /// Frames in another order, or of other columns: every way of reading sees the same columns.
    @Test func swappedFrames() throws {
        let frames = sample.frames(of: sample.stored)
        for (first, second) in [(1, 2), (2, 4), (4, 6)] {
            var order = Array(frames.indices)
            order.swapAt(first, second)
            let log = try sample.log(order.flatMap { sample.stored[frames[$0].stored] })
            let raw = try sample.log(order.flatMap { sample.raw[frames[$0].raw] }, codec: TTLOG_CODEC_RAW)
            for part in FrameTests.parts {
                let found = try? sample.contents(log, part)
                #expect(found == (try? sample.contents(raw, part)), "\(first) \(second) \(part)")
            }
        }
        // The table of sizes in the wrong place.
        let log = try sample.log(frames.reversed().flatMap { sample.stored[$0.stored] })
        #expect(throws: LogError.self) { try sample.contents(log, .path) }
    }

    /// Any bytes: no trap, and where the whole body decompresses, its columns alone are equal.
    @Test func mutatedFrames() throws {
        var numbers = Numbers(3)
        let decompressor = ttlog_decompressor_create()
        defer { ttlog_decompressor_free(decompressor) }
        var whole = sample.raw
        var part = sample.raw
        var agreements = 0
        for round in 0..<2000 {
            var stored = sample.body(BodySample.Layout.allCases[round % BodySample.Layout.allCases.count])
            for _ in 0...(numbers.next() % 3) {
                let place = Int(numbers.next() % UInt64(round & 1 == 0 ? stored.count : 40))
                stored[place] ^= 1 << UInt8(numbers.next() & 7)
            }
            if round % 5 == 0 { stored.removeLast(Int(numbers.next() % UInt64(stored.count))) }
            let size = whole.count
            let wanted = UInt32(truncatingIfNeeded: numbers.next() & 0x7f)
            let isWhole = ttlog_decompressor_run(decompressor, &whole, size, stored, stored.count) == 0
            let isPart =
                ttlog_decompressor_run_columns(decompressor, 7, wanted, &part, size, stored, stored.count) == 0
            guard isWhole else { continue }
            #expect(isPart)
            agreements += 1
            let ranges = [0..<28] + sample.columnRanges(of: whole)
            for (number, range) in ranges.enumerated() where (wanted << 1 | 1) >> UInt32(number) & 1 != 0 {
                let difference = whole.withUnsafeBytes { whole in
                    part.withUnsafeBytes {
                        memcmp(whole.baseAddress! + range.lowerBound, $0.baseAddress! + range.lowerBound, range.count)
                    }
                }
                #expect(difference == 0, "round \(round), columns \(wanted), \(number)")
            }
        }
        #expect(agreements > 20)
    }
}
