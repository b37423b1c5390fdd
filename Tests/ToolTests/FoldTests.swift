// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import TestSupport
import Testing

@testable import LogViews

/// Folding of repeated rows, in the library and with `--fold`.
@Suite struct FoldTests {
    private struct Letter: FoldableRow, Equatable {
        var clock: UInt64
        var letter: Character

        func reads(like other: Letter) -> Bool { letter == other.letter }
    }

    /// Letters at the counters from 100 on; a digit leaves out this number of counters.
    private func letters(_ text: String) -> [Letter] {
        var (rows, clock) = ([] as [Letter], 100 as UInt64)
        for character in text {
            if let skipped = character.wholeNumberValue {
                clock += UInt64(skipped)
            } else {
                rows.append(Letter(clock: clock, letter: character))
                clock += 1
            }
        }
        return rows
    }

    private func fold(_ rows: [Letter]) -> [RowFolder<Letter>.Line] {
        var (folder, lines) = (RowFolder<Letter>(), [] as [RowFolder<Letter>.Line])
        for row in rows {
            folder.add(row)
            lines += folder.take()
        }
        folder.finish()
        return lines + folder.take()
    }

    /// The letters that are written, with `×N` after the last of a repeated group.
    private func folded(_ text: String) -> String {
        fold(letters(text)).map { line in
            String(line.row.letter)
                + (line.repetition.map { "×\($0.count)/\($0.rows)" + ($0.step == $0.rows ? "" : "+\($0.step)") } ?? "")
        }.joined(separator: " ")
    }

    @Test(arguments: [
        ("", ""), ("a", "a"), ("aa", "a a"), ("aaa", "a×3/1"), ("aaaab", "a×4/1 b"), ("abababc", "a b×3/2 c"),
        ("abababa", "a b×3/2 a"), ("xabcabcabcabcab", "x a b c×4/3 a b"),
        // A group that begins like the next one.
        ("aaaaaabababab", "a×6/1 b a×3/2 b"),
        // The period that covers most: not a×3, and not two groups of abab.
        ("aaabaaabaaabaaab", "a a a b×4/4"), ("abababababababab", "a b×8/2"),
        // The longest group, and one that is longer.
        ("abcdefghabcdefghabcdefgh", "a b c d e f g h×3/8"),
        ("abcdefghiabcdefghiabcdefghi", "a b c d e f g h i a b c d e f g h i a b c d e f g h i"),
        // Counters that are left out: the same step each time, or not.
        ("a2a2a2a", "a×4/1+3"), ("a2b1a2b1a2b1a", "a b×3/2+5 a"), ("aaa1aaa", "a×3/1 a×3/1"),
        ("a1a2a1a2a", "a a a a a"),
    ])
    func folds(_ text: String, _ expected: String) {
        #expect(folded(text) == expected)
    }

    /// The counters and letters of the branches that lines represent.
    private func unfold(_ lines: [RowFolder<Letter>.Line]) -> [Letter] {
        var (rows, group) = ([] as [Letter], [] as [Letter])
        for line in lines {
            group.append(line.row)
            guard let repetition = line.repetition else { continue }
            rows += group.dropLast(repetition.rows)
            for round in 0..<repetition.count {
                rows += group.suffix(repetition.rows).map {
                    Letter(clock: $0.clock + round * repetition.step, letter: $0.letter)
                }
            }
            group = []
        }
        return rows + group
    }

    @Test func noRowAndNoCounterIsLost() {
        var (numbers, foldedCount) = (RandomNumbers(seed: 11), 0)
        for _ in 0..<2000 {
            var text = ""
            while text.count < 200 {
                let group = String(
                    (0..<1 + numbers.below(10)).map { _ in "abc123".randomElement(using: &numbers) ?? "a" })
                text += String(repeating: group, count: Int(1 + numbers.below(8)))
            }
            let rows = letters(text)
            let lines = fold(rows)
            #expect(unfold(lines) == rows, "\(text)")
            foldedCount += lines.count { $0.repetition != nil }
        }
        #expect(foldedCount > 2000)
    }

    @Test func heldBackRowsAreBounded() {
        var (folder, written) = (RowFolder<Letter>(), 0)
        for (index, row) in letters(String((0..<5000).map { _ in "abcdefghijk".randomElement() ?? "a" })).enumerated() {
            folder.add(row)
            for line in folder.take() { written += (line.repetition.map { Int($0.count - 1) * $0.rows } ?? 0) + 1 }
            #expect(index + 1 - written <= 32)
        }
    }

    // MARK: - Tools

    private static let loop = """
        options nonce=1 features=branches,icount,labels,accesses,access-values
        branch 0x900 -> 0x1000 call! +4
        repeat 20 {
            branch 0x1020 -> 0x2000 call! +4
            access port-read ip=0x2004 info=1 address=0x3fd value=0x20
            branch 0x2010 -> 0x1025 ret +4
            branch 0x1040 -> 0x1000 jmp! +4
        }
        repeat 5 {
            branch 0x1050 -> 0x1050 jcc! +1
        }
        branch 0x1060 -> 0x5000 none +4
        """

    @Test func branchesOfALoop() throws {
        let fixture = try LogFixture(Self.loop)
        let (all, folded) = (try Tool.dump.run(fixture.log), try Tool.dump.run("--fold", fixture.log))
        #expect(all.output.split(separator: "\n").count == 67)
        #expect(try Tool.dump.run("--no-fold", fixture.log).output == all.output)
        #expect(
            folded.output == """
                 0: 0x0000000000000900 -> 0x0000000000001000  call!          4
                 1: 0x0000000000001020 -> 0x0000000000002000  call!          8
                 2: 0x0000000000002010 -> 0x0000000000001025  ret            12
                 3: 0x0000000000001040 -> 0x0000000000001000  jmp!           16  ×20 (3 rows)
                61: 0x0000000000001050 -> 0x0000000000001050  jcc!           245  ×5
                66: 0x0000000000001060 -> 0x0000000000005000  none           253 *

                """)
        // Selections count branches; the steps of those that are left are stated.
        #expect(
            try Tool.dump.run("--fold", "--kind", "ret", "--range", "2:40", fixture.log).output
                == " 2: 0x0000000000002010 -> 0x0000000000001025  ret            12  ×13, every 3 branches\n")
    }

    @Test func events() throws {
        let fixture = try LogFixture(Self.loop)
        let arguments = ["events", "--stream", "access", fixture.log]
        #expect(try Tool.analyze.run(arguments).output.split(separator: "\n").count == 20)
        #expect(
            try Tool.analyze.run(arguments + ["--fold"]).output
                == " 2: icount 8  port-read  0x2004  port 0x3fd, 1 byte, value 0x20  ×20, every 3 branches\n")
    }

    @Test func onATerminalRowsAreFolded() throws {
        let fixture = try LogFixture(Self.loop)
        let tools = [Tool.dump.path, "\(Tool.analyze.path) events --stream access"]
        for (tool, lines) in zip(tools, [6, 1]) {
            for (option, expected) in [("", lines), ("--no-fold", tool == tools[0] ? 67 : 20)] {
                let result = try Tool(path: "/usr/bin/env").run([
                    "TERM=xterm", "script", "-qec", "\(tool) \(option) \(fixture.log)", "/dev/null",
                ])
                #expect(result.output.split(whereSeparator: \.isNewline).count == expected, "\(result.output)")
            }
        }
    }

    @Test func otherFormatsNeverFold() throws {
        let fixture = try LogFixture(Self.loop)
        for arguments in [
            ["--format", "csv"], ["--format", "jsonl"], ["--style", "gdb"], ["--style", "perf"], ["--edges"],
            ["--calls"],
        ] {
            let result = try Tool.dump.run(arguments + ["--fold", fixture.log])
            #expect(result.status == 2 && result.output.isEmpty && result.errors.contains("--fold"), "\(arguments)")
        }
        #expect(try Tool.analyze.run(["events", "--fold", "--format", "csv", fixture.log]).status == 2)
    }
}
