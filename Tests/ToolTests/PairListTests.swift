// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Reporting
import TestSupport
import Testing

/// `diverge --pairs`: many pairs, one line each, in the list's order.
@Suite struct PairListTests {
    private let directory: TemporaryDirectory
    private let list: String
    private let output: String
    private static let count = 30

    /// Thirty pairs: each third is the same, differs, or cannot be read.
    init() throws {
        directory = try TemporaryDirectory()
        (list, output) = (directory.file("list"), directory.file("out.jsonl"))
        let (one, other) = (directory.file("one.log"), directory.file("other.log"))
        try assemble("repeat 9 {\nbranch 0x1010 -> 0x1000 jcc\n}\nbranch 0x1020 -> 0x2000 ret", to: one)
        try assemble("repeat 9 {\nbranch 0x1010 -> 0x1000 jcc\n}\nbranch 0x1020 -> 0x3000 ret", to: other)
        let replays = [one, other, directory.file("missing")]
        let lines = (0..<PairListTests.count).map { "\(one)\t\(replays[$0 % 3])" }
        try ("# originals and replays\n\n" + lines.joined(separator: "\n") + "\n")
            .write(toFile: list, atomically: true, encoding: .utf8)
    }

    private func lines() throws -> [FleetLine] {
        try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").map {
            try FleetLine(json: String($0))
        }
    }

    @Test func aLineForEachPairAndATable() throws {
        let result = try Tool.analyze.run("diverge", "--pairs", list, "-o", output, expecting: 2)
        let lines = try lines()
        #expect(lines.map(\.index) == Array(0..<PairListTests.count))
        #expect(lines.map(\.status) == (0..<PairListTests.count).map { Int32($0 % 3) })
        #expect(lines[1].verdict == .controlFlow && lines[1].brctr?.rawValue == 9 && lines[1].ip?.rawValue == 0x1020)
        #expect(lines[2].verdict == nil && lines[2].error?.contains("missing") == true)
        let rows = result.output.split(separator: "\n")
        #expect(rows.count == 4 && rows.dropFirst().allSatisfy { $0.hasPrefix("   10  ") }, "\(result.output)")
    }

    /// An output that ends anywhere is continued; the result is the same, byte for byte.
    @Test func anInterruptedOutputIsContinued() throws {
        let table = try Tool.analyze.run("diverge", "--pairs", list, "-o", output, expecting: 2).output
        let whole = try Data(contentsOf: URL(fileURLWithPath: output))
        for size in [0, 1, 700, whole.count / 2, whole.count - 1, whole.count] {
            try whole.prefix(size).write(to: URL(fileURLWithPath: output))
            let again = try Tool.analyze.run("diverge", "--pairs", list, "-o", output, expecting: 2)
            #expect(again.output == table)
            #expect(try Data(contentsOf: URL(fileURLWithPath: output)) == whole)
        }
    }

    @Test func anOutputOfAnotherListIsKept() throws {
        let text = "{\"causes\":[],\"index\":0,\"original\":\"a\",\"replay\":\"b\",\"status\":0,\"version\":1}\n"
        for content in [text, "notes\n"] {
            try content.write(toFile: output, atomically: true, encoding: .utf8)
            let refused = try Tool.analyze.run("diverge", "--pairs", list, "-o", output, expecting: 2)
            #expect(refused.errors.contains("line 1"), "\(refused.errors)")
            #expect(try String(contentsOfFile: output, encoding: .utf8) == content)
        }
        for arguments in [["--pairs", list], ["-o", output, list, list], ["--pairs", list, "-o", output, list]] {
            #expect(try Tool.analyze.run(["diverge"] + arguments).status == 2)
        }
    }

    @Test func aDirectoryOfRuns() throws {
        let runs = directory.file("runs")
        for (path, target) in [("a", 2), ("a/replays/1", 2), ("a/replays/2", 3), ("b", 2), ("notes", 0)] {
            let folder = "\(runs)/\(path)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            if target > 0 { try assemble("branch 1 -> \(target) ret", to: "\(folder)/ttd.log") }
        }
        try Tool.analyze.run("diverge", "--pairs", runs, "-o", output, expecting: 1)
        #expect(try lines().map(\.replay) == ["\(runs)/a/replays/1", "\(runs)/a/replays/2"])
        #expect(try lines().map(\.verdict) == [.identical, .controlFlow])
    }
}
