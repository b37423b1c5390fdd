// SPDX-License-Identifier: GPL-2.0-or-later

import TestSupport
import Testing

/// All registers at random places of the small guest, beside a replay in single instructions that has neither our recorder nor a
/// breakpoint (Benchmarks/travel/truth.c).
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct RandomPlaceTests {
        @Test(arguments: TravelTests.Version.allCases)
        func registersEqualThoseOfAReplayInSingleInstructions(version: TravelTests.Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let result = try run(
                "\(Products.root)/Benchmarks/travel/random-places",
                [Products.tool("tt-gdb"), directory, "300", "5", "--truth", "--", "--trust"])
            #expect(result.status == 0, "\(result)")
            // Rows: class, equal, different, how many there are.
            var equal: [Substring: Int] = [:]
            for line in result.out.split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.count == 4, let count = Int(words[1]) { equal[words[0]] = count }
            }
            for kind in ["sequence", "repeat", "branch", "interrupt", "fault", "before-interrupt", "before-fault"] {
                #expect((equal[Substring(kind)] ?? 0) >= 16, "\(kind): \(result.out)")
            }
        }
    }
}
