// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// `bts-dump --edges`.
@Suite struct EdgeTests {
    private static let log = FixtureTests.path("recording.log")

    private func check(_ arguments: [String], _ snapshot: String, on text: String = SampleLogs.small) throws {
        let fixture = try LogFixture(text)
        let result = try Tool.dump.run(["--edges"] + arguments + [fixture.log])
        #expect(result.status == 0, "\(result.errors)")
        try expectSnapshot(fixture.normalized(result.output + result.errors), snapshot)
    }

    @Test func text() throws { try check([], "bts-dump-edges.txt") }
    @Test func textByAddress() throws { try check(["--sort", "address"], "bts-dump-edges-address.txt") }
    @Test func jsonLines() throws { try check(["--format", "jsonl"], "bts-dump-edges.jsonl") }
    @Test func csv() throws { try check(["--format", "csv"], "bts-dump-edges.csv") }
    @Test func vcpusTogether() throws { try check([], "bts-dump-edges-vcpus.txt", on: SampleText.twoVCPUs) }

    /// The counts are those of the rows of a whole run, sorted and counted.
    @Test func countsAreThoseOfTheRows() throws {
        let rows = try Tool.dump.run("--format", "csv", Self.log).output
        var counts: [Substring: Int] = [:]
        for row in rows.utf8.split(separator: UInt8(ascii: "\n")).dropFirst() {
            let fields = row.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            counts[Substring(row[fields[2].startIndex..<fields[6].endIndex]), default: 0] += 1
        }
        let edges = try Tool.dump.run("--edges", "--format", "csv", Self.log).output.split(separator: "\n")
        #expect(edges.first == "count,from,to,label,static,discontinuity")
        #expect(edges.count - 1 == counts.count && counts.count > 2000)
        var last = Int.max
        for edge in edges.dropFirst() {
            let comma = try #require(edge.firstIndex(of: ","))
            let count = try #require(Int(edge[..<comma]))
            #expect(counts[edge[edge.index(after: comma)...]] == count, "\(edge)")
            #expect(count <= last)
            last = count
        }
    }

    @Test func severalInputsAddUp() throws {
        let one = try Tool.dump.run("--edges", "--format", "csv", Self.log).output.split(separator: "\n")
        let two = try Tool.dump.run("--edges", "--format", "csv", Self.log, Self.log).output.split(separator: "\n")
        #expect(one.count == two.count)
        for (single, double) in zip(one, two).dropFirst() {
            let (a, b) = (single.split(separator: ","), double.split(separator: ","))
            #expect(try #require(Int(a[0])) * 2 == Int(b[0]) && a.dropFirst() == b.dropFirst())
        }
    }

    @Test func namesStandThere() throws {
        let result = try Tool.dump.run(
            "--edges", "--symbols", FixtureTests.path("tiny.elf"), "--style", "gdb", Self.log)
        #expect(result.output.contains(" 0x2000b7 <start64+25> -> 0x200f40 <kernel_main>  call!\n"))
    }
}
