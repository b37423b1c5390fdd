// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Glibc
import TestSupport
import Testing

/// Long pairs with one planted difference at a random place: the class and the place are right, with digests and without.
///
/// TT_SYNTHETIC_PAIRS is the number of pairs of a million branches (`make test` tries few, of 200,000); of every hundred,
/// one has 100 million branches.
@Suite("Many long pairs", .timeLimit(.minutes(60)))
struct ManyPairTests {
    private static let wanted = getenv("TT_SYNTHETIC_PAIRS").flatMap { UInt64(String(cString: $0)) }
    private static let shards: UInt64 = 2

    private static func branches(_ number: UInt64) -> UInt64 {
        wanted == nil ? 200_000 : number % 100 == 99 ? 100_000_000 : 1_000_000
    }

    @Test("one difference at a random place", arguments: 0..<shards)
    func pairs(shard: UInt64) throws {
        let count = (Self.wanted ?? 24) / Self.shards
        var numbers = RandomNumbers(seed: 2016 + shard)
        var tried: UInt64 = 0
        var number = shard * count
        while tried < count {
            let run = RandomPair.run(number, branches: Self.branches(number), &numbers)
            number += 1
            let difference = RandomPair.difference(run, &numbers)
            guard let (pair, expected) = try Pair.planted(run, difference) else { continue }
            tried += 1
            expect(try pair.compareBothWays(), expected, "pair \(number - 1): \(difference)")
        }
        if let wanted = Self.wanted { print("ManyPairTests: \(tried) of \(wanted) pairs, from \(shard * count) on") }
    }
}

/// The verdict, the place and the distance are the expected ones.
func expect(_ alignment: AlignmentResult, _ expected: ExpectedAlignment, _ what: String) {
    #expect(alignment.verdict.name == expected.verdict.rawValue, "\(what)")
    if let clock = expected.clock {
        let found = alignment.divergence.map { $0.difference?.clock ?? $0.original.clock }
        #expect(found == clock, "\(what)")
    } else {
        #expect(alignment.divergence == nil, "\(what)")
    }
    #expect(alignment.divergence?.difference?.stream == expected.stream, "\(what)")
    if let moved = expected.movedBy, case .movedEvent(let transitions, _) = alignment.verdict {
        #expect(transitions == moved, "\(what)")
    }
}
