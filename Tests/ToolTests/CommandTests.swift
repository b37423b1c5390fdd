// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// Effects of the commands other than their output.
@Suite struct CommandTests {
    @Test func stateDirectoriesServeAsLogs() throws {
        let fixture = try LogFixture(SampleLogs.small)
        let byFile = try Tool.dump.run(fixture.log)
        #expect(try Tool.dump.run(fixture.directory.path).output == byFile.output)
        #expect(try Tool.dump.run(fixture.directory.path + "/").output == byFile.output)
        try Tool.analyze.run("verify", fixture.directory.path)
    }

    @Test func slicesAreLogs() throws {
        let fixture = try LogFixture(SampleLogs.small)
        let out = fixture.directory.file("part.log")
        let result = try Tool.analyze.run("slice", "--range", "20:43", fixture.log, out)
        #expect(result.output.isEmpty)
        #expect(result.errors.contains("23 branches"))
        try Tool.analyze.run("verify", out)
        let part = try Tool.dump.run(out).output
        #expect(part == (try Tool.dump.run("--range", "20:43", fixture.log).output))
        #expect(part.split(separator: "\n").count == 23)

        // It is not written over unless asked, and never over the log that it is cut from.
        let refused = try Tool.analyze.run("slice", "--range", "1:2", fixture.log, out, expecting: 2)
        #expect(refused.errors.contains("--force"))
        try Tool.analyze.run("slice", "--force", "--range", "1:2", fixture.log, out)
        #expect(try Tool.dump.run(out).output.split(separator: "\n").count == 1)
        try Tool.analyze.run("slice", "--force", "--range", "1:2", fixture.log, fixture.log, expecting: 2)
        try Tool.analyze.run("verify", fixture.log)
    }

    @Test func anEmptySliceIsTrouble() throws {
        let fixture = try LogFixture(SampleLogs.small)
        let out = fixture.directory.file("part.log")
        try Tool.analyze.run("slice", "--range", "1000:2000", fixture.log, out, expecting: 2)
        try Tool.analyze.run("slice", fixture.log, out, expecting: 2)
    }

    /// A program is built and its function's address taken, so that the names are real ones.
    @Test func addressesGetNames() throws {
        let directory = try TemporaryDirectory()
        let source = directory.file("a.c")
        let program = directory.file("program")
        try
            "__attribute__((noinline)) int work(int x) { return x * 3; }\nint main(int c, char **v) { return work(c); }\n"
            .write(toFile: source, atomically: true, encoding: .utf8)
        let build = "gcc -g -O1 -no-pie -fno-pie -o '\(program)' '\(source)' && nm '\(program)' | grep ' work$'"
        let shell = try Tool(path: "/bin/sh").run(["-c", build])
        let address = try #require(shell.output.split(separator: " ").first.map(String.init))

        let log = directory.file("ttd.log")
        try assemble(
            "branch 0x\(address) -> 0x10 ret\nevent interrupt ip=0x\(address) info=3 value=0x\(address)", to: log)
        let text = try Tool.dump.run("--symbols", program, log).output
        #expect(text.contains(" <work> -> 0x0000000000000010  ret"))
        #expect(try Tool.dump.run("--symbols", program, "--lines", log).output.contains("<work \(source):1>"))
        let json = try Tool.dump.run("--symbols", program, "--format", "jsonl", log).output
        #expect(json.contains("\"symbol\":\"work\",\"offset\":\"0\""))
        #expect(json.contains("\"toPlace\":null"))
        let csv = try Tool.dump.run("--symbols", program, "--format", "csv", log).output
        #expect(csv.contains(",work,\(source):1,,\n"))
        let events = try Tool.analyze.run("events", "--symbols", program, log).output
        #expect(events.contains("<work>  vector 3 -> 0x"))
        #expect(events.hasSuffix(" <work>\n"))
        // Another slide: nothing is there.
        #expect(!(try Tool.dump.run("--symbols", "\(program)@0x1000", log).output.contains("work")))
        // Each line of JSON is a document.
        for line in json.split(separator: "\n") {
            _ = try JSONSerialization.jsonObject(with: Data(line.utf8))
        }
    }

    @Test func symbolFilesThatAreOfNoUseAreTrouble() throws {
        let fixture = try LogFixture(SampleLogs.small)
        for bad in ["/no/such/vmlinux", fixture.log, fixture.directory.path, "\(fixture.log),5", "x@y"] {
            let result = try Tool.dump.run("--symbols", bad, fixture.log, expecting: 2)
            #expect(result.errors.contains(bad))
            #expect(result.output.isEmpty)
        }
    }

    @Test func outputIntoHeadEndsQuietly() throws {
        let directory = try TemporaryDirectory()
        let log = directory.file("ttd.log")
        try assemble("event interrupt info=32\nrepeat 100000 {\nbranch 0x1020 -> 0x1000 jcc!\n}", to: log)
        let script = """
            '\(Tool.dump.path)' '\(log)' | head -n 2; echo "${PIPESTATUS[0]}"
            '\(Tool.analyze.path)' events --stream all '\(log)' | head -n 0; echo "${PIPESTATUS[0]}"
            """
        let result = try Tool(path: "/bin/bash").run(["-c", script])
        #expect(result.errors.isEmpty)
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0].contains("0x0000000000001020 -> 0x0000000000001000"))
        #expect(lines[2] == "0")
        #expect(lines[3] == "0")
    }

    @Test func aFullDiskIsTrouble() throws {
        let fixture = try LogFixture(SampleLogs.small)
        let result = try Tool(path: "/bin/sh").run(["-c", "'\(Tool.dump.path)' '\(fixture.log)' > /dev/full; echo $?"])
        #expect(result.output == "2\n")
        #expect(result.errors.contains("No space left"))
    }

    @Test func aLogThatIsBeingWrittenIsReadSoFar() throws {
        let directory = try TemporaryDirectory()
        let log = directory.file("ttd.log")
        let writer = try LogWriter(path: log)
        for _ in 0..<5 {
            writer.branch(from: 0x20, to: 0x10, icount: 1, label: BranchLabel(.jcc, hasStaticTarget: true))
        }
        let result = try Tool.dump.run(log)
        #expect(result.output.split(separator: "\n").count == 5)
        #expect(result.errors.contains("is being written"))
        #expect(try Tool.analyze.run("info", log).output.contains("being written"))
        try writer.close()
        #expect(try Tool.dump.run(log).errors.isEmpty)
    }

    @Test func aKilledRecordersLogIsReadToTheEnd() throws {
        let fixture = try LogFixture(SampleLogs.small + "\nabandon")
        let whole = try LogFixture(SampleLogs.small)
        let killed = try Tool.dump.run(fixture.log)
        #expect(killed.output == (try Tool.dump.run(whole.log).output))
        #expect(killed.errors.contains("was not closed"))
        // Without the open file something may be missing, and that is trouble.
        #expect(unlink(fixture.log + ".open") == 0)
        let lost = try Tool.dump.run(fixture.log, expecting: 2)
        #expect(lost.errors.contains("open file"))
    }

    @Test func textFromALogDoesNotSteerTheTerminal() throws {
        let fixture = try LogFixture("branch 0x1 -> 0x2 ret\nevent interrupt info=1")
        let writer = try LogWriter(appendingTo: fixture.log)
        writer.attribute("evil", "a\u{1b}[2Jb\nc")
        try writer.close()
        for command in [["info"], ["events", "--stream", "meta"]] {
            let output = try Tool.analyze.run(command + [fixture.log]).output
            #expect(output.contains("a\\x1b[2Jb\\x0ac"))
        }
        let json = try Tool.analyze.run(["events", "--stream", "meta", "--format", "jsonl", fixture.log]).output
        #expect(!json.unicodeScalars.contains { $0.value == 0x1b })
    }
}

extension Tool {
    init(path: String) { self.path = path }
}
