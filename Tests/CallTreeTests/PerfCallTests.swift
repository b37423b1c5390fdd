// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

/// The call tree of a text of `perf script`, against what the text itself says of calls and returns.
@Suite struct PerfCallTests {
    /// A run of a program that calls itself at random, as `perf script` prints it.
    private static func text(seed: UInt64) -> String {
        var numbers = RandomNumbers(seed: seed)
        var returns: [(to: UInt64, flags: String)] = []
        var place: UInt64 = 0x401000
        var text = ""
        for number in 0..<4000 {
            let from = place & ~15 + 16 * (1 + numbers.below(50))
            var (flags, to) = ("jcc", from + 0x20)
            let choice = numbers.below(returns.count > 40 ? 5 : 9)
            if choice < 4, let frame = returns.popLast() {
                (to, flags) = frame
            } else if choice == 5 {
                (flags, to) = ("hw int", 0xffff_ffff_8100_0000)
                returns.append((from, "iret"))
            } else if choice > 5 {
                // The kernel calls no code of programs.
                let base: UInt64 = place >> 63 == 1 ? 0xffff_ffff_8110_0000 : 0x401000
                (flags, to) = ("call", base + 0x1000 * numbers.below(64))
                returns.append((from + 5, "return"))
            }
            text += "  prog 7/7 [000] 1.\(100_000_000 + number):  1 branches:uH:   \(flags)   "
            text += "\(String(from, radix: 16)) f+0x1 (/bin/prog) =>  \(String(to, radix: 16)) g+0x0 (/bin/prog)\n"
            place = to
        }
        return text
    }

    /// The number of open calls after each line, by the words of the lines alone.
    private static func depths(_ text: String) throws -> [Int] {
        var depth = 0
        return try text.split(separator: "\n").map { line in
            let flags = try #require(line.firstMatch(of: #/branches:uH: +(call|return|jcc|hw int|iret) /#)).1
            if flags == "call" || flags == "hw int" { depth += 1 }
            if flags == "return" || flags == "iret" { depth -= 1 }
            return depth
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func theTreeIsThatOfTheText(seed: UInt64) throws {
        let text = PerfCallTests.text(seed: seed)
        let scratch = try temporaryDirectory()
        let log = try LogFile.open(path: scratch.write("perf.txt", text))
        let result = try Tracking.of(log)
        #expect(result.depths == (try PerfCallTests.depths(text)))
        #expect(result.marks == [])
    }
}
