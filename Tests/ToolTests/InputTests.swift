// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// What `bts-dump` reads: several inputs, raw BTS files; and `--extract`, which writes them.
@Suite struct InputTests {
    static let recording = FixtureTests.path("recording.log")
    static let guest = FixtureTests.path("tiny.elf")

    /// A log, a run directory, and a raw file, one after the other.
    private func inputs() throws -> (fixtures: [LogFixture], paths: [String], names: [String]) {
        let (first, second) = (try LogFixture(SampleLogs.small), try LogFixture(SampleText.twoVCPUs))
        let raw = first.directory.file("part.bts")
        try Tool.dump.run("--extract", raw, "--extended", "--range", "40:43", first.log)
        return ([first, second], [first.log, second.directory.path, raw], [first.log, second.log, raw])
    }

    @Test func severalInputsOneAfterTheOther() throws {
        let (fixtures, paths, names) = try inputs()
        defer { withExtendedLifetime(fixtures) {} }
        func dump(_ arguments: [String]) throws -> String {
            let result = try Tool.dump.run(arguments)
            #expect(result.status == 0, "\(result.errors)")
            return result.output
        }
        let single = try paths.map { try dump([$0]) }
        #expect(try dump(paths) == zip(names, single).map { "==> \($0) <==\n" + $1 }.joined())

        let jsonl = try paths.map { try dump(["--format", "jsonl", $0]) }
        let objects = try dump(["--format", "jsonl"] + paths)
        #expect(objects == jsonl.joined())
        for name in names { #expect(objects.contains("\"schema\":\"bts-dump\",\"version\":1,\"log\":\"\(name)\"}")) }

        let csv = try paths.map { try dump(["--format", "csv", $0]).split(separator: "\n") }
        let rows = try dump(["--format", "csv"] + paths).split(separator: "\n")
        #expect(rows.first == "log," + csv[0][0])
        #expect(
            rows.dropFirst() == zip(names, csv).flatMap { name, rows in rows.dropFirst().map { "\(name),\($0)" } }[...])

        let calls = try paths.prefix(2).map { try dump(["--calls", $0]) }
        let headed = zip(names, calls).map { "==> \($0) <==\n" + $1 }.joined()
        #expect(try dump(["--calls"] + paths.prefix(2)) == headed)
        // Stacks of all are put together.
        let folded = try dump(["--folded", paths[0], paths[0]])
        let once = try dump(["--folded", paths[0]]).split(separator: "\n").map { $0.split(separator: " ") }
        let twice = once.map { "\($0.dropLast().joined(separator: " ")) \((UInt64($0[$0.count - 1]) ?? 0) * 2)\n" }
        #expect(folded == twice.joined())
    }

    @Test func oneSetOfSymbolsIsForOneMachine() throws {
        let fixture = try LogFixture("options machine=3 nonce=1\nbranch 0x1000 -> 0x2000 call! +1")
        let symbols = ["--symbols", Self.guest, "--no-cache"]
        let result = try Tool.dump.run(symbols + [Self.recording, fixture.log])
        #expect(result.status == 2 && result.output.isEmpty)
        #expect(result.errors.contains("\(fixture.log): ran on i386, \(Self.recording) on x86-64"))
        try Tool.dump.run(Self.recording, fixture.log)
    }

    /// All inputs are checked before anything is printed; damage in one does not stop the others.
    @Test func badInputsAmongGoodOnes() throws {
        let (fixtures, paths, names) = try inputs()
        defer { withExtendedLifetime(fixtures) {} }
        let missing = try Tool.dump.run([paths[0], "/no/such/log"])
        #expect(missing.status == 2 && missing.output.isEmpty && missing.errors.contains("/no/such/log"))
        let vcpu = try Tool.dump.run(["--vcpu", "1"] + paths)
        #expect(vcpu.status == 2 && vcpu.output.isEmpty)
        #expect(vcpu.errors.contains("\(names[0]): has no vCPU 1; it has 0"))

        var bytes = try Data(contentsOf: URL(fileURLWithPath: paths[2]))
        bytes.removeLast(5)
        try bytes.write(to: URL(fileURLWithPath: paths[2]))
        let damaged = try Tool.dump.run([paths[2], paths[0]])
        #expect(damaged.status == 2)
        #expect(
            damaged.errors.contains("\(paths[2]): offset 72, 19 bytes: record cut short: 24 bytes expected, 19 present")
        )
        #expect(damaged.output.hasSuffix(try Tool.dump.run(paths[0]).output))
    }

    @Test func rawFilesSayWhatTheyAreTakenFor() throws {
        let directory = try TemporaryDirectory()
        for (options, words) in [
            ([], "plain: its addresses are plausible"), (["--extended"], "extended: it begins with"),
        ] {
            let raw = directory.file("raw")
            let arguments = ["--extract", raw, "--force", "--range", "1000:1500"] + options + [Self.recording]
            #expect(try Tool.dump.run(arguments).errors.contains("500 branches"))
            let result = try Tool.dump.run(raw)
            #expect(result.errors.contains("\(raw): read as 500 raw BTS records, \(words)"))
            #expect(result.output.split(separator: "\n").count == 500)
            let calls = try Tool.dump.run("--calls", raw, expecting: 2)
            #expect(calls.errors.contains("has no classes of branches") && calls.output.isEmpty)
            let kind = try Tool.dump.run("--kind", "ret", raw, expecting: 2)
            #expect(kind.errors.contains("has no classes of branches") && kind.output.isEmpty)
        }
    }

    /// With the guest's file a raw file shows the same as the log of the same run: its code has the labels.
    @Test func rawFilesGetLabelsFromCode() throws {
        let directory = try TemporaryDirectory()
        let raw = directory.file("raw")
        // From the first instruction of the guest's own.
        let part = ["--range", "1076000:"]
        try Tool.dump.run(part + ["--extract", raw, "--extended", Self.recording], expecting: 0)
        let symbols = ["--symbols", Self.guest, "--no-cache"]
        for view in [
            ["--calls"], ["--calls", "--format", "jsonl"], ["--folded"], ["--kind", "ret", "--format", "csv"],
        ] {
            let fromLog = try Tool.dump.run(view + symbols + part + [Self.recording])
            let fromRaw = try Tool.dump.run(view + symbols + [raw])
            #expect(fromRaw.status == 0 && !fromRaw.output.isEmpty, "\(fromRaw.errors)")
            guard view != ["--folded"] else {
                // Branches instead of instructions.
                #expect(fromRaw.output.split(separator: "\n").count > 30)
                continue
            }
            func normalized(_ text: String) -> String {
                text.replacing(/"icount":("[0-9]+"|null)/, with: "").replacing(/"log":"[^"]*"/, with: "")
                    .replacing(/(true|false),[0-9]*,/, with: { "\($0.output.1)," })
            }
            #expect(normalized(fromRaw.output) == normalized(fromLog.output), "\(view)")
        }
        let wrong = try Tool.dump.run(["--symbols", "\(Self.guest)+0x10", "--no-cache", raw])
        #expect(wrong.errors.contains("warning: \(raw): \(Self.guest) does not belong to it"))
    }

    /// Every view warns of a file that does not belong to the log.
    @Test(arguments: [[], ["--calls"], ["--folded"], ["--instructions"], ["--format", "jsonl"]])
    func filesThatDoNotBelongAreSaid(view: [String]) throws {
        let result = try Tool.dump.run(view + ["--symbols", "\(Self.guest)+0x10", "--no-cache", Self.recording])
        #expect(
            result.errors.contains("warning: \(Self.recording): \(Self.guest) does not belong to it"),
            "\(result.errors)")
        let right = try Tool.dump.run(view + ["--symbols", Self.guest, "--no-cache", Self.recording])
        #expect(!right.errors.contains("warning"), "\(right.errors)")
    }
}

/// `bts-dump --extract`.
@Suite struct ExtractTests {
    static let recording = FixtureTests.path("recording.log")
    static let symbols = ["--symbols", FixtureTests.path("tiny.elf"), "--no-cache"]

    @Test(arguments: [
        ["--range", "0:300000"], ["--range", "5:100000"], ["--kind", "call", "--kind", "ret", "--range", "0:600000"],
        ["--function", "handle_trap"],
        ["--from", "handle_trap", "--to", "leave_user"],
    ])
    func whatIsSelectedIsWritten(selection: [String]) throws {
        let directory = try TemporaryDirectory()
        let wanted = Set(try Tool.dump.run(Self.symbols + selection + ["--format", "csv", Self.recording]).counters)
        let expected = try BranchOracle(Self.recording).branches.filter { wanted.contains($0.clock) }
        #expect(!expected.isEmpty)
        for isExtended in [false, true] {
            let file = directory.file(isExtended ? "extended" : "plain")
            let options = Self.symbols + selection + (isExtended ? ["--extended"] : [])
            let result = try Tool.dump.run(options + ["--extract", file, Self.recording])
            #expect(result.status == 0 && result.output.isEmpty)
            let form = isExtended ? "extended" : "plain"
            #expect(result.errors == "bts-dump: \(file): \(expected.count) branches, \(form)\n")
            // The bytes, by hand.
            var words = isExtended ? [UInt64.max, .max, .max] : []
            for branch in expected { words += [branch.from, branch.to, isExtended ? branch.clock : 0] }
            let bytes = words.withUnsafeBytes { Data($0) }
            #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == bytes)
            // The records that are read back are the same.
            let csv = try Tool.dump.run(["--format", "csv", file])
            #expect(csv.counters == (isExtended ? expected.map(\.clock) : (0..<expected.count).map(UInt64.init)))
            let again = directory.file("again")
            try Tool.dump.run(["--extract", again, "--force", file] + (isExtended ? ["--extended"] : []), expecting: 0)
            #expect(try Data(contentsOf: URL(fileURLWithPath: again)) == bytes)
        }
    }

    @Test func filesThatAreThereStay() throws {
        let directory = try TemporaryDirectory()
        let file = directory.file("out")
        try "mine".write(toFile: file, atomically: true, encoding: .utf8)
        let refused = try Tool.dump.run("--extract", file, Self.recording, expecting: 2)
        #expect(refused.errors == "bts-dump: error: \(file): exists already; give --force to replace it\n")
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "mine")
        try Tool.dump.run("--extract", file, "--force", "--range", "0:10", Self.recording)
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)).count == 240)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["out"])
        for (arguments, words) in [
            (["--extract", directory.file("x"), "--calls"], "exclude each other"),
            (["--extended"], "valid with --extract only"),
            (["--extract", "/dev/null", "--force"], "not a regular file"),
            (["--extract", "/no/such/x"], "No such file"),
        ] {
            let result = try Tool.dump.run(arguments + [Self.recording])
            #expect(result.status == 2 && result.errors.contains(words), "\(arguments): \(result.errors)")
        }
    }

    @Test func severalVCPUsAreSaid() throws {
        let fixture = try LogFixture(SampleText.twoVCPUs)
        let file = fixture.directory.file("out")
        let both = try Tool.dump.run("--extract", file, "--extended", fixture.log)
        #expect(both.errors.contains("5 branches, extended; 2 vCPUs, one after the other"))
        #expect(try Tool.dump.run("--format", "csv", file).counters == [0, 1, 2, 0, 100])
        let one = try Tool.dump.run("--extract", file, "--force", "--vcpu", "1", fixture.log)
        #expect(one.errors.hasSuffix("2 branches, plain\n"))
    }

    @Test func aFullDiskLeavesNothing() throws {
        let directory = try TemporaryDirectory()
        let file = directory.file("out")
        // A limit on the size of files ends writing as a full disk does.
        let result = try Tool(path: "/bin/bash").run([
            "-c", "ulimit -f 100; exec '\(Tool.dump.path)' --extract '\(file)' '\(Self.recording)'",
        ])
        #expect(result.status == 2 && result.output.isEmpty)
        #expect(result.errors == "bts-dump: error: \(file): cannot write it: File too large\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
    }

    @Test(.enabled(if: geteuid() == 0, "a small file system can be mounted by root only"))
    func aFullFileSystemLeavesNothing() throws {
        let directory = try TemporaryDirectory()
        let script =
            "mount -t tmpfs -o size=1m none '\(directory.path)' && '\(Tool.dump.path)' --extract "
            + "'\(directory.path)/out' '\(Self.recording)'; echo $?; ls -A '\(directory.path)'; umount '\(directory.path)'"
        let result = try Tool(path: "/bin/sh").run(["-c", script])
        #expect(result.output == "2\n", "\(result.errors)")
        #expect(result.errors.hasSuffix("/out: cannot write it: No space left on device\n"))
    }
}

extension Tool {
    @discardableResult
    fileprivate func run(
        _ arguments: [String], expecting status: Int32, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ToolResult {
        let result = try run(arguments)
        #expect(result.status == status, "\(arguments): \(result.errors)", sourceLocation: sourceLocation)
        return result
    }
}
