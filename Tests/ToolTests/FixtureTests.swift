// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
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
}
