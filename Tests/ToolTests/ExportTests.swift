// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// `bts-dump --fdo` and `--perfetto`.
@Suite struct ExportTests {
    private static let log = FixtureTests.path("recording.log")
    private static let program = FixtureTests.path("tiny.elf")

    private func profile(_ format: String) throws -> [Substring] {
        let result = try Tool.dump.run("--symbols", Self.program, "--fdo", format, Self.log)
        #expect(result.status == 0, "\(result.errors)")
        return result.output.split(separator: "\n")
    }

    /// The branches inside the program with their counts, from `--edges`: `FROM TO`.
    private func edges() throws -> [String: UInt64] {
        let rows = try Tool.dump.run("--edges", "--format", "csv", Self.log).output.split(separator: "\n").dropFirst()
        var edges: [String: UInt64] = [:]
        for row in rows {
            let fields = row.split(separator: ",")
            let from = try #require(hex(fields[1]))
            let to = try #require(hex(fields[2]))
            let isBranch = ["jcc", "jmp", "jmp-indirect", "call", "call-indirect", "ret"].contains(fields[3])
            guard isBranch, fields[5] == "false", [from, to].allSatisfy({ 0x20_0000 <= $0 && $0 < 0x20_2000 }) else {
                continue
            }
            edges["\(String(from, radix: 16)) \(String(to, radix: 16))", default: 0] += try #require(UInt64(fields[0]))
        }
        return edges
    }

    private func hex(_ text: Substring) -> UInt64? { UInt64(text.dropFirst(text.hasPrefix("0x") ? 2 : 0), radix: 16) }

    @Test func branchesOfBOLTAreTheEdges() throws {
        var branches: [String: UInt64] = [:]
        var traces: [String: UInt64] = [:]
        var (into, outOf) = (0 as UInt64, 0 as UInt64)
        for line in try profile("bolt-branches") {
            let fields = line.split(separator: " ")
            let count = try #require(UInt64(fields[3]))
            switch fields[0] {
            case "B" where !fields[2].hasPrefix("X:"): branches["\(fields[1]) \(fields[2])"] = count
            case "F", "f":
                // A straight run begins where a branch arrived, and ends where the next one leaves.
                let start = try #require(hex(fields[1]))
                let end = try #require(hex(fields[2]))
                #expect(start <= end && end - start < 0x400, "\(line)")
                into += count
            default: #expect(fields[0] == "B")
            }
            if fields[0] == "B" { outOf += count }
        }
        for line in try profile("bolt") where line.hasPrefix("T") {
            let fields = line.split(separator: " ")
            traces["\(fields[1]) \(fields[2])", default: 0] += try #require(UInt64(fields[4]))
        }
        #expect(branches == traces)
        #expect(branches.count > 150)
        let expected = try edges()
        #expect(branches == expected)
        // Every branch ends a run, and so do the interrupts and faults of a kernel.
        #expect(into >= outOf - 1 && into < outOf + 200, "\(into) \(outOf)")
    }

    /// Each block is headed by its number of lines.
    @Test func blocksOfAutoFDO() throws {
        var lines = try profile("autofdo")[...]
        for separator in ["-", "", "->"] {
            let count = try #require(lines.popFirst().flatMap { Int($0) })
            for line in lines.prefix(count) {
                let (addresses, number) = (line.prefix { $0 != ":" }, line.drop { $0 != ":" }.dropFirst())
                #expect(UInt64(number) ?? 0 > 0)
                #expect(addresses.split(separator: separator).compactMap { hex($0) }.count == 2, "\(line)")
            }
            lines = lines.dropFirst(count)
        }
        #expect(lines.isEmpty)
    }

    /// Read as llvm-profgen does: branches, and the runs between two of them in one sample.
    @Test func samplesHaveAllBranchesAndRuns() throws {
        var branches: [String: UInt64] = [:]
        var runs: [String: UInt64] = [:]
        for line in try profile("perfscript") where line.hasPrefix(" 0x") {
            let entries = line.split(separator: " ").map { $0.split(separator: "/").prefix(2).compactMap { hex($0) } }
            #expect(entries.count <= 32)
            for (newer, older) in zip(entries, entries.dropFirst()) where older[1] != 0 && newer[0] != 0 {
                runs["\(String(older[1], radix: 16)) \(String(newer[0], radix: 16))", default: 0] += 1
            }
            for entry in entries where entry[0] != 0 && entry[1] != 0 {
                branches["\(String(entry[0], radix: 16)) \(String(entry[1], radix: 16))", default: 0] += 1
            }
        }
        let known = try edges()
        #expect(branches == known)
        var expected: [String: UInt64] = [:]
        for line in try profile("bolt-branches") where line.lowercased().hasPrefix("f") {
            let fields = line.split(separator: " ")
            expected["\(fields[1]) \(fields[2])", default: 0] += try #require(UInt64(fields[3]))
        }
        #expect(runs == expected)
    }

    @Test func aProgramThatNeverRan() throws {
        let elsewhere = "\(Self.program)+0x70000000"
        let result = try Tool.dump.run("--symbols", elsewhere, "--fdo", "bolt", Self.log, expecting: 2)
        #expect(result.errors.contains("never ran in the selected part"), "\(result.errors)")
    }

    @Test func symbolsAreNeeded() throws {
        let fixture = try LogFixture(SampleLogs.small)
        let result = try Tool.dump.run("--fdo", "bolt", fixture.log, expecting: 2)
        #expect(result.errors.contains("--fdo needs --symbols FILE"), "\(result.errors)")
    }

    // MARK: - Perfetto

    private struct Timeline: Decodable {
        struct Record: Decodable {
            var ph: String
            var pid: Int
            var tid: Int
            var ts: Double
            var name: String?
            var cat: String?
            var s: String?
        }

        var displayTimeUnit: String
        var traceEvents: [Record]
    }

    /// The rules of the Trace Event Format: slices nest, an end closes the last beginning of its thread, times of a thread
    /// do not step back, names where they are needed.
    @Test(arguments: [[], ["--depth", "3"], ["--range", "30000:60000"]]) func timeline(options: [String]) throws {
        let result = try Tool.dump.run(["--symbols", Self.program, "--perfetto", Self.log] + options)
        #expect(result.status == 0)
        let timeline = try JSONDecoder().decode(Timeline.self, from: Data(result.output.utf8))
        #expect(timeline.displayTimeUnit == "ns")
        var open: [Int: [String]] = [:]
        var last: [Int: Double] = [:]
        var named: Set<Int> = []
        var calls = 0
        for record in timeline.traceEvents {
            #expect(["M", "B", "E", "i", "C"].contains(record.ph) && record.pid == 1)
            #expect(record.ph == "E" || record.name != nil)
            if record.ph == "M", record.name == "thread_name" { named.insert(record.tid) }
            if record.ph == "i" { #expect(record.s == "t") }
            guard record.ph == "B" || record.ph == "E" else { continue }
            #expect(named.contains(record.tid))
            #expect(record.ts >= last[record.tid] ?? 0)
            last[record.tid] = record.ts
            if record.ph == "B" {
                open[record.tid, default: []].append(record.name ?? "")
                if record.cat != "stack" { calls += 1 }
            } else {
                #expect(open[record.tid]?.popLast() != nil)
            }
            if options.first == "--depth" { #expect(open[record.tid, default: []].count <= 3) }
        }
        let isClosed = open.values.allSatisfy(\.isEmpty)
        #expect(isClosed)

        // As many as the call tree has.
        let rows = try Tool.dump.run(
            ["--symbols", Self.program, "--calls", "--format", "jsonl", Self.log] + options
        ).output.split(separator: "\n")
        let entered = rows.count { row in
            ["enter", "tail-call", "reopen"].contains { row.contains("\"action\":\"\($0)\"") }
        }
        #expect(calls == entered && calls > 10)
    }

    @Test func eventsAreInstants() throws {
        let fixture = try LogFixture(SampleLogs.small)
        let result = try Tool.dump.run("--perfetto", fixture.log)
        let timeline = try JSONDecoder().decode(Timeline.self, from: Data(result.output.utf8))
        let rows = try Tool.analyze.run("events", "--format", "csv", fixture.log).output.split(separator: "\n")
        #expect(timeline.traceEvents.count { $0.ph == "i" } == rows.count - 1)
    }
}
