// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// The committed logs of real runs (Fixtures/README.md).
@Suite("Fixtures")
struct FixtureTests {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/tiny")

    static func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

    @Test("They are intact", arguments: ["recording.log", "faithful.log", "extra-turn.log"])
    func intact(name: String) throws {
        let result = try Tool.analyze.run("verify", Self.path(name))
        #expect(result.output.hasSuffix("intact\n"))
    }

    @Test("The faithful replay is identical, by digests and record by record", arguments: [[], ["--no-digests"]])
    func faithful(options: [String]) throws {
        let result = try Tool.analyze.run(
            ["diverge", Self.path("recording.log"), Self.path("faithful.log")] + options)
        #expect(result.status == 0)
        #expect(result.output.hasPrefix("identical\n"))
    }

    @Test("The extra turn of a loop is found, with its source line on both sides", arguments: [[], ["--no-digests"]])
    func extraTurn(options: [String]) throws {
        let result = try Tool.analyze.run(
            [
                "diverge", Self.path("recording.log"), Self.path("extra-turn.log"), "--symbols", Self.path("tiny.elf"),
                "--replay-symbols", Self.path("tiny-extra-turn.elf"),
            ] + options)
        #expect(result.status == 1)
        #expect(result.output.hasPrefix("control flow differs\n"))
        // The original faults in stumble() where the replay's loop in step() takes one more turn.
        #expect(result.output.contains("original  brctr 1179549, icount 6872726\n            0x201042 <stumble @"))
        #expect(result.output.contains("main.c:55"))
        #expect(result.output.contains("replay    brctr 1179549"))
        #expect(result.output.contains("<step+"))
        #expect(result.output.contains("main.c:41"))
        // Each side's command names that side's symbols and log.
        let lines = result.output.split(separator: "\n").filter { $0.contains("bts-dump") }
        #expect(lines.count == 2)
        #expect(lines.first?.contains("--symbols \(Self.path("tiny.elf")) --around 1179549:20") == true)
        #expect(lines.last?.contains("--symbols \(Self.path("tiny-extra-turn.elf")) --around 1179549:20") == true)
        #expect(lines.last?.hasSuffix(Self.path("extra-turn.log")) == true)
    }

    @Test("The call stack is rebuilt from no more branches than the option allows")
    func stackReach() throws {
        let command = ["diverge", Self.path("recording.log"), Self.path("extra-turn.log"), "--format", "json"]
        for (options, pattern) in [
            ([], #""branchesSeen":"1179549""#), (["--stack-reach", "1000"], #""branchesSeen":"1000""#),
        ] {
            let document = try Tool.analyze.run(command + options).output
            #expect(document.filter { !$0.isWhitespace }.contains(pattern), "\(options)")
        }
    }

    /// A step of `bts-dump --calls --format jsonl`.
    private struct Step: Decodable {
        var vcpu: Int
        var brctr: String
        var icount: String
        var action: String
        var kind: String?
        var mark: String?
        var stack: Int
        var depth: Int
        var from: String?
        var to: String?

        /// The call's place and the depth around it.
        func text(depth: Int) -> String {
            "\(vcpu),\(brctr),\(icount),\(stack),\(depth),\(kind ?? ""),\(from ?? ""),\(to ?? "")"
        }
    }

    @Test("The calls of the index are those of the call tree: number, nesting, beginnings and ends")
    func calls() throws {
        // The index is beside the log.
        let directory = try TemporaryDirectory()
        let log = directory.file("recording.log")
        try FileManager.default.copyItem(atPath: Self.path("recording.log"), toPath: log)
        let decoder = JSONDecoder()
        let steps = try Tool.dump.run(["--calls", "--format", "jsonl", log]).output.split(separator: "\n").dropFirst()
            .map { try decoder.decode(Step.self, from: Data($0.utf8)) }
        func rows(_ columns: String, where condition: String) throws -> [String] {
            let query =
                "SELECT vcpu, \(columns), stack, depth, kind, call_site, target FROM call WHERE \(condition) ORDER BY id"
            let result = try Tool.analyze.run(
                ["sql", "--format", "csv", log, query])
            try #require(result.status == 0, "\(result.errors)")
            return result.output.split(separator: "\n").dropFirst().map(String.init)
        }
        let entered = steps.filter { $0.action == "enter" }.map { $0.text(depth: $0.depth - 1) }
        try #require(entered.count > 20_000)
        let begun = try rows("begin_brctr, begin_icount", where: "true")
        #expect(begun.count == entered.count)
        #expect(zip(begun, entered).first { $0 != $1 } == nil)
        // A call that was left and then turned out to be open ends later. A tail call changes the target.
        let left = steps.filter { $0.action == "leave" && $0.mark == nil }.map { $0.text(depth: $0.depth) }
        let reopened = steps.count { $0.action == "reopen" }
        func withoutTarget(_ rows: [String]) -> Set<Substring> {
            Set(rows.map { $0[..<($0.lastIndex(of: ",") ?? $0.endIndex)] })
        }
        let ended = try rows("end_brctr, end_icount", where: "ending IS NULL AND NOT is_open")
        #expect(ended.count == left.count - reopened)
        #expect(withoutTarget(ended).subtracting(withoutTarget(left)).isEmpty)
    }
}
