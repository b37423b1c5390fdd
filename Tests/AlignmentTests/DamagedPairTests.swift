// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Foundation
import LogFormat
import TestSupport
import Testing

/// Pairs whose answer is known, after damage to one of the logs: the answer stays right, or says that a log is not whole, and
/// nothing that only the damage explains is called a difference.
///
/// TT_HOSTILE_INPUTS is the number of damaged logs; `make test` tries few.
@Suite("Damage to logs whose comparison is known", .timeLimit(.minutes(20)))
struct DamagedPairTests {
    static let count = hostileInputs(600)
    static let seeds: ClosedRange<UInt64> = 1...4

    /// The images of a pair's logs, and what their comparison says.
    private struct Known {
        var images: [[UInt8]]
        var kind: Verdict.Kind
        var clock: UInt64?
        var difference: PlantedDifference
    }

    private func pairs(seed: UInt64) throws -> [Known] {
        var run = PlantedDifferenceTests.run(seed: seed, branches: 1200)
        run.statesEvery = 200
        let clock = run.options.clockBase + 700
        let differences = [.none] + PlantedDifferenceTests.differences(at: clock, ordinal: 9)
        return try differences.compactMap { difference in
            let pair = try Pair()
            let planted = SyntheticPair(run: run, difference: difference)
            guard (try? planted.write(original: pair.original, replay: pair.replay)) != nil else { return nil }
            let answer = try pair.compare()
            return Known(
                images: try [pair.original, pair.replay].map { Array(try Data(contentsOf: URL(fileURLWithPath: $0))) },
                kind: answer.verdict.kind, clock: answer.place?.lowerBound, difference: difference)
        }
    }

    @Test("the answer is right or says that a log is not whole", arguments: seeds)
    func damaged(seed: UInt64) throws {
        let known = try pairs(seed: seed)
        let pair = try Pair()
        var numbers = RandomNumbers(seed: seed)
        var (right, incomplete) = (0, 0)
        for round in 0..<(Self.count / Self.seeds.count) {
            let whole = known[Int(numbers.below(UInt64(known.count)))]
            let side = Int(numbers.below(2))
            var images = whole.images
            let damage = Damage.allCases[Int(numbers.below(UInt64(Damage.allCases.count)))]
            damage.apply(to: &images[side], &numbers)
            try ReplayBinEditor.write(images[0], to: pair.original)
            try ReplayBinEditor.write(images[1], to: pair.replay)
            let label: Comment = "seed \(seed), round \(round): \(whole.difference), \(damage) of log \(side)"
            // A log without a readable header is refused.
            guard let log = try? LogFile(path: [pair.original, pair.replay][side]) else { continue }
            #expect(log.verify().isIntact == (images[side] == whole.images[side]), label)
            let answer = try pair.compareBothWays()
            let isRight = answer.verdict.kind == whole.kind && answer.isAt(whole.clock)
            right += isRight ? 1 : 0
            incomplete += answer.saysNotWhole ? 1 : 0
            #expect(isRight || answer.saysNotWhole, "\(label): \(answer.verdict), \(answer.caveatKinds)")
            if answer.verdict.exitStatus == 1, !answer.endedEarly {
                // A difference is one of the pair: none where there is none, and not before the first one.
                #expect(whole.clock != nil, "\(label): \(answer.verdict)")
                if let place = answer.place, let first = whole.clock { #expect(place.upperBound >= first, label) }
            }
        }
        #expect(right > Self.count / Self.seeds.count / 10 && incomplete > Self.count / Self.seeds.count / 2)
    }
}

/// Ways in which a file is damaged: by a disk, by a copy that was cut off, by a program that writes at the wrong place.
private enum Damage: CaseIterable {
    case flippedBits, zeros, garbage, cut, removed, inserted, exchanged

    func apply(to image: inout [UInt8], _ numbers: inout RandomNumbers) {
        // The header is a matter of its own: without it a log is refused.
        let start = 4096 + Int(numbers.below(UInt64((image.count - 4096) / 64))) * 64
        let end = min(image.count, start + 64 * Int(1 + numbers.below(12)))
        switch self {
        case .flippedBits:
            for _ in 0...numbers.below(4) {
                image[4096 + Int(numbers.below(UInt64(image.count - 4096)))] ^= 1 << UInt8(numbers.below(8))
            }
        case .zeros: for index in start..<end { image[index] = 0 }
        case .garbage: for index in start..<end { image[index] = UInt8(truncatingIfNeeded: numbers.next()) }
        case .cut: image.removeSubrange(start...)
        case .removed: image.removeSubrange(start..<end)
        case .inserted: image.insert(contentsOf: Array(image[start..<end]), at: start)
        case .exchanged:
            let other = 4096 + Int(numbers.below(UInt64((image.count - 4096) / 64))) * 64
            for index in 0..<min(end - start, image.count - other) { image.swapAt(start + index, other + index) }
        }
    }
}

extension AlignmentResult {
    /// The original's clocks at which the difference can be: one, or those of a cell; or the end of a log.
    fileprivate var place: ClosedRange<UInt64>? {
        divergence.map { divergence in
            guard let clocks = divergence.difference?.clocks, !clocks.isEmpty else {
                let clock = divergence.difference?.clock ?? divergence.original.clock
                return clock...clock
            }
            return clocks.lowerBound...(clocks.upperBound - 1)
        }
    }

    fileprivate func isAt(_ clock: UInt64?) -> Bool {
        guard let place, let clock else { return place == nil && clock == nil }
        return place.contains(clock)
    }

    fileprivate var endedEarly: Bool { verdict.kind == .replayEndedEarly || verdict.kind == .originalEndedEarly }

    /// Whether a caveat says that something of a log is missing.
    fileprivate var saysNotWhole: Bool {
        !caveatKinds.isDisjoint(with: [.damaged, .recordsLost, .notCompared, .notClosed])
    }
}
