// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// Whatever is wrong: status 2, a sentence on standard error, nothing on standard output.
@Suite struct FailureTests {
    /// Each command that reads one log.
    static let commands: [(tool: Tool, arguments: [String])] = [
        (.dump, []), (.analyze, ["info"]), (.analyze, ["events"]), (.analyze, ["verify"]),
    ]

    private func expectTrouble(_ path: String, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation)
        throws
    {
        for (tool, arguments) in Self.commands {
            let result = try tool.run(arguments + [path])
            #expect(result.status == 2, sourceLocation: sourceLocation)
            #expect(result.output.isEmpty, sourceLocation: sourceLocation)
            for word in [path] + words {
                #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: sourceLocation)
            }
            #expect(result.errors.split(separator: "\n").count == 1, sourceLocation: sourceLocation)
        }
    }

    @Test func filesThatAreNoLogsAreNamed() throws {
        let directory = try TemporaryDirectory()
        try expectTrouble(directory.file("missing.log"), "No such file")
        try expectTrouble(directory.path, "ttd.log", "No such file")
        let text = directory.file("text")
        try String(repeating: "not a log\n", count: 1000).write(toFile: text, atomically: true, encoding: .utf8)
        try expectTrouble(text, "not a trace log", "offset 0")
        let empty = directory.file("empty")
        try Data().write(to: URL(fileURLWithPath: empty))
        try expectTrouble(empty, "4096 bytes", "0")
        try expectTrouble("/dev/null", "regular file")
    }

    @Test func newerFormatsAreRefused() throws {
        let fixture = try LogFixture(SampleLogs.small)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: fixture.log))
        bytes[8] = 9
        let newer = fixture.directory.file("newer.log")
        try bytes.write(to: URL(fileURLWithPath: newer))
        // The version is under the header's checksum: this is damage, and a damaged version is not believed.
        let result = try Tool.analyze.run("verify", newer, expecting: 2)
        #expect((result.output + result.errors).contains("offset 0"))
    }

    @Test func wrongUsageIsTrouble() throws {
        let fixture = try LogFixture(SampleLogs.small)
        let wrong: [(Tool, [String])] = [
            (.dump, []), (.dump, ["--no-such-option", fixture.log]), (.dump, ["--range", "5", fixture.log]),
            (.dump, ["--range", "9:3", fixture.log]), (.dump, ["--format", "xml", fixture.log]),
            (.dump, ["--range", "1:2", "--around", "3:4", fixture.log]), (.dump, ["--extended", fixture.log]),
            (.analyze, ["no-such-command"]), (.analyze, ["info"]),
            (.analyze, ["events", "--kind", "no-kind", fixture.log]),
            (.analyze, ["slice", fixture.log]),
        ]
        for (tool, arguments) in wrong {
            let result = try tool.run(arguments)
            #expect(result.status == 2, "\(arguments)")
            #expect(result.output.isEmpty, "\(arguments)")
            #expect(result.errors.contains("--help'"), "\(arguments): \(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1, "\(arguments): \(result.errors)")
        }
    }

    @Test func aVCPUThatIsNotThereIsTrouble() throws {
        let fixture = try LogFixture(SampleText.twoVCPUs)
        for (tool, arguments) in [(Tool.dump, []), (.analyze, ["events"])] {
            let result = try tool.run(arguments + ["--vcpu", "7", fixture.log])
            #expect(result.status == 2)
            #expect(result.errors.contains("has no vCPU 7; it has 0, 1"))
        }
    }

    @Test func aLogWithoutBranchesSaysSo() throws {
        let fixture = try LogFixture("options mode=events features=icount\nbranch 1 -> 2 ret\nevent interrupt info=3")
        let result = try Tool.dump.run(fixture.log, expecting: 2)
        #expect(result.errors.contains("no branches"))
        let events = try Tool.analyze.run("events", fixture.log)
        #expect(events.output.contains("vector 3"))
    }

    /// The readable records are printed before status 2 reports the damage.
    @Test func damageIsPassedOverAndCounted() throws {
        let fixture = try LogFixture(SampleLogs.large(codec: "raw"))
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture.log)))
        let whole = try Tool.dump.run(fixture.log).output.split(separator: "\n")
        let events = try Tool.analyze.run("events", "--stream", "all", fixture.log).output.split(separator: "\n")
        // The body of the second chunk of branches.
        let headers = stride(from: 4096, to: bytes.count - 192, by: 64).filter {
            bytes[$0..<$0 + 4].elementsEqual("TTCK".utf8) && bytes[$0 + 32] == 1
        }
        bytes[headers[1] + 192 + 40] ^= 0xff
        try Data(bytes).write(to: URL(fileURLWithPath: fixture.log))

        let dump = try Tool.dump.run(fixture.log, expecting: 2)
        #expect(dump.output.split(separator: "\n").count == whole.count - 256)
        #expect(dump.errors.contains("offset \(headers[1])"))
        #expect(dump.errors.contains("256 records lost"))
        let verify = try Tool.analyze.run("verify", fixture.log, expecting: 2)
        #expect(verify.output.contains("offset \(headers[1])"))
        #expect(verify.output.hasSuffix("damaged: 1 part, 256 records lost\n"))
        // The events are not concerned.
        let read = try Tool.analyze.run("events", "--stream", "all", fixture.log)
        #expect(read.output.split(separator: "\n") == events)
    }
}
