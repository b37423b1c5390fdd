// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// Problems of a new user: statuses, silence, outputs over inputs, limits, terminals.
@Suite struct FirstUseTests {
    private static let log = FixtureTests.path("recording.log")
    private static let replay = FixtureTests.path("extra-turn.log")
    private static let symbols = ["--symbols", FixtureTests.path("tiny.elf"), "--no-cache"]

    /// Runs a script of bash, in which `$dump` and `$analyze` are the tools.
    private func shell(_ script: String) throws -> ToolResult {
        let tools = "dump='\(Tool.dump.path)'; analyze='\(Tool.analyze.path)'; "
        return try Tool(path: "/bin/bash").run(["--norc", "-c", tools + script])
    }

    // MARK: - Statuses

    @Test func theStatusOfAnAnswerOutlivesItsReader() throws {
        let fixture = try LogFixture(SampleLogs.large(codec: "raw"))
        var bytes = try Data(contentsOf: URL(fileURLWithPath: fixture.log))
        bytes[4096 + 192 + 40] ^= 0xff
        try bytes.write(to: URL(fileURLWithPath: fixture.log))
        let script = """
            trap '' PIPE
            "$analyze" verify '\(fixture.log)' 2>/dev/null | true; echo ${PIPESTATUS[0]}
            "$analyze" diverge '\(Self.log)' '\(Self.replay)' | true; echo ${PIPESTATUS[0]}
            "$analyze" diverge '\(Self.log)' '\(Self.log)' | true; echo ${PIPESTATUS[0]}
            """
        #expect(try shell(script).output == "2\n1\n0\n")
    }

    @Test func aFunctionThatNeverRanIsStatusOne() throws {
        let fixture = try LogFixture("branch 0x1020 -> 0x1000 jcc! +4")
        for view in [[], ["--calls"], ["--instructions"], ["--edges"]] {
            let arguments = Self.symbols + ["--function", "port_write"] + view
            let result = try Tool.dump.run(arguments + [fixture.log])
            #expect(result.status == 1, "\(view): \(result.errors)")
            #expect(result.errors.contains("port_write: never ran"), "\(view): \(result.errors)")
        }
        #expect(try Tool.dump.run(Self.symbols + ["--function", "port_write", Self.log]).status == 0)
    }

    // MARK: - Silence

    @Test func anEmptySelectionIsReported() throws {
        let fixture = try LogFixture(SampleLogs.small)
        for arguments in [["--range", "5000:"], ["--from", "5000"], ["--kind", "sysenter"]] {
            let result = try Tool.dump.run(arguments + [fixture.log])
            #expect(result.status == 0 && result.output.isEmpty)
            #expect(result.errors.contains("no branch is selected; it holds 0:"), "\(arguments): \(result.errors)")
        }
        for arguments in [["--range", "5000:"], ["--kind", "hypercall"]] {
            let result = try Tool.analyze.run(["events"] + arguments + [fixture.log])
            #expect(result.status == 0 && result.output.isEmpty)
            #expect(result.errors.contains("no event is selected; it holds"), "\(arguments): \(result.errors)")
        }
    }

    // MARK: - Selections

    @Test func rangesByShareAndFromTheEnd() throws {
        func counters(_ arguments: String...) throws -> [Substring] {
            let result = try Tool.dump.run(arguments + ["--format", "csv", Self.log])
            #expect(result.status == 0, "\(arguments): \(result.errors)")
            return result.output.split(separator: "\n").dropFirst().map { $0.split(separator: ",")[1] }
        }
        let last = try counters("--range", "-20:")
        #expect(last.count == 20)
        let end = try #require(last.last.flatMap { UInt64($0) }) + 1
        #expect(try counters("--range", "\(end - 20):") == last)
        #expect(try counters("--range", "-20:-15") == Array(last.prefix(5)))
        #expect(try counters("--range", "0:1,000").count == 1000)
        #expect(try counters("--range", "99.9%:").count == Int(end - end / 1000 * 999 - end % 1000 * 999 / 1000))
        #expect(try counters("--range", "100%:").isEmpty)
        for wrong in ["101%:", "1,00:", "-:", "5%:4%", "-3:-5", "1.5:", "%:"] {
            #expect(try Tool.dump.run(["--range", wrong, Self.log]).status == 2, "\(wrong)")
        }
        let events = try Tool.analyze.run(["events", "--stream", "all", "--range", "90%:", Self.log])
        #expect(events.status == 0)
    }

    @Test func branchesBeforeAPlace() throws {
        let fixture = try LogFixture(SelectionTests.places)
        func counters(_ arguments: [String]) throws -> [UInt64] {
            let result = try Tool.dump.run(arguments + ["--format", "csv", fixture.log])
            #expect(result.status == 0, "\(arguments): \(result.errors)")
            return result.counters
        }
        #expect(try counters(["--to", "0x2010", "--before", "1"]) == [1, 2])
        #expect(try counters(["--to", "0x5000", "--before", "3"]) == [4, 5, 6, 7])
        #expect(try counters(["--from", "0x1025", "--before", "2"]) == Array(0...7))
        #expect(try counters(["--from", "0x2000:2", "--before", "2", "--to", "0x1025"]) == [2, 3, 4, 5])
        #expect(try counters(["--to", "5", "--before", "2"]) == [3, 4])
        #expect(try counters(["--from", "5", "--before", "2"]) == [3, 4, 5, 6, 7])
        #expect(try counters(["--to", "0x7777", "--before", "2"]).isEmpty)
        #expect(try Tool.dump.run(["--before", "2", fixture.log]).status == 2)
    }

    @Test func verifyTakesSeveralLogs() throws {
        let (good, bad) = (try LogFixture(SampleLogs.small), try LogFixture(SampleLogs.small))
        var bytes = try Data(contentsOf: URL(fileURLWithPath: bad.log))
        bytes[4096 + 192 + 1] ^= 0xff
        try bytes.write(to: URL(fileURLWithPath: bad.log))
        let both = try Tool.analyze.run(["verify", good.log, good.log])
        #expect(both.status == 0 && both.output.components(separatedBy: "intact").count == 3)
        let result = try Tool.analyze.run(["verify", bad.log, "/no/such/log", good.log])
        #expect(result.status == 2 && result.errors.contains("/no/such/log"))
        #expect(result.output.contains("damaged:") && result.output.hasSuffix("intact\n"))
    }

    // MARK: - Formats

    /// Before any input is read: there is none.
    @Test(arguments: [
        ("--calls", "csv"), ("--folded", "csv"), ("--instructions", "csv"), ("--extract=/tmp/none", "text"),
    ])
    func formatsThatAViewLacksAreRefused(view: String, format: String) throws {
        let result = try Tool.dump.run([view, "--format", format, "/no/such/log"])
        #expect(result.status == 2 && result.output.isEmpty)
        let option = view.split(separator: "=")[0]
        #expect(
            result.errors.contains("\(option) has no format")
                || result.errors.contains("\(option) has a format of its own"))
        #expect(!result.errors.contains("No such file"))
    }

    /// JSON lines and CSV come from one description of a row.
    @Test(arguments: [[], ["--edges"]])
    func jsonHasTheFieldsOfCSV(view: [String]) throws {
        let fixture = try LogFixture(SampleLogs.small)
        let csv = try Tool.dump.run(view + ["--format", "csv", fixture.log]).output.split(separator: "\n")
        let json = try Tool.dump.run(view + ["--format", "jsonl", fixture.log]).output.split(separator: "\n")
        #expect(csv.count == json.count)
        for (line, object) in zip(csv, json).dropFirst() {
            let fields = try #require(try JSONSerialization.jsonObject(with: Data(object.utf8)) as? [String: Any])
            let columns = csv[0].split(separator: ",").map(String.init)
            #expect(Set(fields.keys) == Set(columns))
            let values = columns.map { column in
                let value = fields[column]
                return value as? String ?? (value as? NSNumber).map { isBoolean($0) ? "\($0.boolValue)" : "\($0)" }
                    ?? ""
            }
            #expect(values.joined(separator: ",") == line)
        }
    }

    private func isBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }

    @Test func jsonBeginsWithSchemaAndVersion() throws {
        let fixture = try LogFixture(SampleLogs.small)
        let streams = [[], ["--calls"], ["--folded"], ["--edges"], Self.symbols + ["--coverage"]]
        for view in streams {
            let result = try Tool.dump.run(view + ["--format", "jsonl", fixture.log])
            #expect(result.output.hasPrefix("{\"schema\":\"bts-dump"), "\(view): \(result.output.prefix(60))")
            #expect(result.output.prefix(60).contains(",\"version\":"), "\(view)")
        }
        let documents = [["info", fixture.log], ["verify", fixture.log], ["diverge", Self.log, Self.replay]]
        for command in documents {
            let result = try Tool.analyze.run([command[0], "--format", "json"] + command.dropFirst())
            let lines = result.output.split(separator: "\n").prefix(3)
            #expect(lines.count == 3 && lines[1].hasPrefix("  \"schema\" : ") && lines[2].hasPrefix("  \"version\" : "))
            _ = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        }
    }

    // MARK: - Outputs

    @Test func anOutputIsNeverAnInput() throws {
        let directory = try TemporaryDirectory()
        let raw = directory.file("part.bts")
        try Tool.dump.run("--extract", raw, "--range", "0:100", Self.log)
        let before = try Data(contentsOf: URL(fileURLWithPath: raw))
        let link = directory.file("link")
        #expect(symlink(raw, link) == 0)
        for input in [raw, link] {
            let result = try Tool.dump.run("--extract", raw, "--force", input, expecting: 2)
            #expect(result.errors.contains("is the input"))
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: raw)) == before)
        let program = directory.file("program")
        try FileManager.default.copyItem(atPath: FixtureTests.path("tiny.elf"), toPath: program)
        let symbols = try Tool.dump.run(
            "--symbols", program, "--no-cache", "--extract", program, "--force", Self.log, expecting: 2)
        #expect(symbols.errors.contains("is the input"))
    }

    @Test func aLimitOnTheSizeOfFilesIsAnError() throws {
        let directory = try TemporaryDirectory()
        let out = directory.file("all.bts")
        let script = """
            ulimit -f 100
            "$dump" --extract '\(out)' '\(Self.log)'; echo $?
            "$dump" '\(Self.log)' > '\(directory.file("text"))'; echo $?
            XDG_CACHE_HOME='\(directory.file("cache"))' "$dump" --symbols '\(FixtureTests.path("tiny.elf"))' --range 0:5 \
                '\(Self.log)' | wc -l
            """
        let result = try shell(script)
        #expect(result.output == "2\n2\n5\n", "\(result)")
        #expect(result.errors.contains("File too large"))
        let left = try FileManager.default.subpathsOfDirectory(atPath: directory.path)
        #expect(!left.contains { $0.hasSuffix(".tmp") || $0.hasSuffix(".part") || $0.hasSuffix(".bts") }, "\(left)")
    }

    // MARK: - Terminals

    @Test(arguments: [("xterm", true), ("dumb", false), ("", false)])
    func colorNeedsATerminalThatHasIt(term: String, isColored: Bool) throws {
        let command = "'\(Tool.analyze.path)' diverge '\(Self.log)' '\(Self.replay)'"
        let result = try Tool(path: "/usr/bin/env").run([
            "TERM=\(term)", "PAGER=cat", "script", "-qec", command, "/dev/null",
        ])
        #expect(result.output.contains("\u{1b}[") == isColored)
        #expect(result.status == 1)
    }

    // MARK: - Hostile names

    @Test func namesFromFilesAreEscapedForPeople() throws {
        let directory = try TemporaryDirectory()
        let program = directory.file("program")
        let evil = "ev\u{1b}[2Jil\r\n\u{7},\"x"
        let build = """
            set -e; cd '\(directory.path)'
            echo '.globl _start; _start: call work; hlt; .globl work; .type work, @function; work: ret; .size work, 1' > a.s
            gcc -c -x assembler a.s -o a.o; ld -Ttext=0x401000 -o plain a.o
            objcopy --redefine-sym work="$NAME" plain program
            """
        let built = try Tool(path: "/usr/bin/env").run(["NAME=\(evil)", "/bin/bash", "-c", build])
        #expect(built.status == 0, "\(built.errors)")
        let work: UInt64 = 0x401006
        let log = directory.file("ttd.log")
        try assemble(
            "options nonce=1 features=branches,icount,labels\nbranch 0x401000 -> \(work) call! +1\n"
                + "branch \(work) -> 0x401005 ret +1\nevent interrupt ip=\(work) info=32 value=\(work)", to: log)
        let views = [
            [], ["--style", "gdb"], ["--style", "inline"], ["--style", "perf"], ["--calls"], ["--folded"], ["--edges"],
            ["--instructions"],
        ]
        for view in views {
            let result = try Tool.dump.run(["--symbols", program, "--no-cache"] + view + [log])
            #expect(result.status == 0, "\(view): \(result.errors)")
            #expect(result.output.contains("ev\\x1b[2Jil\\x0d\\x0a\\x07"), "\(view): \(result.output)")
            #expect(
                !(result.output + result.errors).unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" }, "\(view)")
        }
        let events = try Tool.analyze.run(["events", "--symbols", program, "--no-cache", log])
        #expect(events.output.contains("ev\\x1b[2Jil") && !events.output.unicodeScalars.contains("\u{1b}"))
        let named = try Tool.analyze.run(["symbolize", "-f", "-e", program, "--no-cache", String(work, radix: 16)])
        #expect(named.output == "ev\\x1b[2Jil\\x0d\\x0a\\x07,\"x\n??:0\n", "\(named)")
        // One field of CSV, whatever its text.
        let csv = try Tool.dump.run(["--symbols", program, "--no-cache", "--format", "csv", log]).output
        #expect(csv.contains("\"ev\u{1b}[2Jil\r\n\u{7},\"\"x\""))
    }
}
