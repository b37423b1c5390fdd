// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import TestSupport
import Testing

/// The output of the commands, against golden files.
@Suite struct GoldenTests {
    /// Runs a command on a log and compares standard output with a golden file.
    private func check(
        _ tool: Tool, _ arguments: [String], on text: String = SampleLogs.small, status: Int32 = 0, _ snapshot: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let fixture = try LogFixture(text)
        let result = try tool.run(arguments + [fixture.log])
        #expect(result.status == status, "\(result.errors)", sourceLocation: sourceLocation)
        var text = fixture.normalized(result.output)
        if !result.errors.isEmpty { text += "--- standard error\n" + fixture.normalized(result.errors) }
        try expectSnapshot(text, snapshot, sourceLocation: sourceLocation)
    }

    // MARK: - bts-dump

    @Test func dumpText() throws { try check(.dump, [], "bts-dump.txt") }
    /// A new format fails until it has a golden file.
    @Test(arguments: RowFormat.allCases) func dump(_ format: RowFormat) throws {
        let name = format == .text ? "txt" : format.rawValue
        try check(.dump, ["--format", format.rawValue], "bts-dump.\(name)")
    }
    @Test func dumpRange() throws { try check(.dump, ["--range", "38:0x2b"], "bts-dump-range.txt") }
    @Test func dumpAround() throws { try check(.dump, ["--around", "42:2"], "bts-dump-around.txt") }
    @Test func dumpVCPUs() throws { try check(.dump, [], on: SampleText.twoVCPUs, "bts-dump-vcpus.txt") }
    @Test func dumpOneVCPU() throws {
        try check(.dump, ["--vcpu", "1"], on: SampleText.twoVCPUs, "bts-dump-vcpu1.txt")
    }
    @Test func dumpDigest() throws { try check(.dump, [], on: SampleLogs.digest, "bts-dump-digest.txt") }

    // MARK: - tt-analyze

    @Test func info() throws { try check(.analyze, ["info"], "info.txt") }
    @Test func infoJSON() throws { try check(.analyze, ["info", "--format", "json"], "info.json") }
    @Test func infoVCPUs() throws { try check(.analyze, ["info"], on: SampleText.twoVCPUs, "info-vcpus.txt") }
    @Test func infoDigest() throws { try check(.analyze, ["info"], on: SampleLogs.digest, "info-digest.txt") }
    @Test func infoKilled() throws {
        try check(.analyze, ["info"], on: SampleLogs.small + "\nabandon", "info-killed.txt")
    }

    @Test func events() throws { try check(.analyze, ["events"], "events.txt") }
    @Test func eventsOfAllStreams() throws { try check(.analyze, ["events", "--stream", "all"], "events-all.txt") }
    @Test func eventsOfKinds() throws {
        try check(.analyze, ["events", "--kind", "rdtsc", "--kind", "exception"], "events-kinds.txt")
    }
    @Test func eventsInRange() throws {
        try check(.analyze, ["events", "--around", "42:1", "--stream", "all"], "events-around.txt")
    }
    @Test func eventsJSONLines() throws {
        try check(.analyze, ["events", "--stream", "all", "--format", "jsonl"], "events.jsonl")
    }
    @Test func eventsCSV() throws {
        try check(.analyze, ["events", "--stream", "all", "--format", "csv"], "events.csv")
    }

    @Test func eventsOfEveryKind() throws {
        try check(.analyze, ["events", "--stream", "all"], on: SampleLogs.everyKind, "events-every-kind.txt")
    }
    @Test func eventsOfEveryKindJSONLines() throws {
        let arguments = ["events", "--stream", "all", "--format", "jsonl"]
        try check(.analyze, arguments, on: SampleLogs.everyKind, "events-every-kind.jsonl")
    }

    @Test func verify() throws { try check(.analyze, ["verify"], "verify.txt") }
    @Test func verifyJSON() throws { try check(.analyze, ["verify", "--format", "json"], "verify.json") }
    @Test func verifyDigest() throws { try check(.analyze, ["verify"], on: SampleLogs.digest, "verify-digest.txt") }

    // MARK: - Help

    static let helpTopics = [
        ["bts-dump"], ["tt-analyze"], ["tt-analyze", "info"], ["tt-analyze", "events"], ["tt-analyze", "verify"],
        ["tt-analyze", "slice"], ["tt-analyze", "diverge"], ["tt-analyze", "symbolize"], ["tt-analyze", "index"],
        ["tt-analyze", "sql"], ["tt-analyze", "schema"], ["tt-analyze", "import"],
        ["tt-analyze", "report"], ["tt-analyze", "open"], ["tt-gdb"], ["tt-dap"],
    ]

    @Test(arguments: helpTopics)
    func help(_ topic: [String]) throws {
        let result = try Tool(topic[0]).run(Array(topic.dropFirst()) + ["--help"])
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        try expectSnapshot(result.output, "help/\(topic.joined(separator: "-")).txt")
    }

    /// A new subcommand fails until its help has a golden file and the README lists it.
    @Test func everySubcommandIsTestedAndListed() throws {
        let result = try Tool.analyze.run(["--help"])
        let list =
            result.output.components(separatedBy: "SUBCOMMANDS:\n").last?.components(separatedBy: "\n\n").first ?? ""
        let names = list.split(separator: "\n").filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }
        #expect(names.count >= 9, "\(names)")
        let readme = try String(contentsOfFile: packageRoot + "/README.md", encoding: .utf8)
        for name in names {
            #expect(GoldenTests.helpTopics.contains(["tt-analyze", name]), "\(name)")
            let isListed = readme.contains("`tt-analyze \(name)`") || readme.contains(", `\(name)`")
            #expect(isListed, "README.md lists no tt-analyze \(name)")
        }
    }
}
