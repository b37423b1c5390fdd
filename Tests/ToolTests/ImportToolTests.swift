// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// `tt-analyze import`, and foreign formats in the other tools.
@Suite struct ImportToolTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func write(_ name: String, _ text: String) throws -> String { try directory.write(name, text) }

    private static let perf = """
        prog 7/7 [000] 1.000000001:  1 branches:uH:   call     401000 main+0x0 (prog) =>   402000 f+0x0 (prog)
        prog 7/7 [000] 1.000000002:  1 branches:uH:   jcc      402004 f+0x4 (prog) =>   402010 f+0x10 (prog)
        prog 7/7 [000] 1.000000003:  1 branches:uH:   return   402020 f+0x20 (prog) =>   401005 main+0x5 (prog)

        """

    @Test func anImportIsAClosedLogThatNamesItsSource() throws {
        let input = try write("branches.txt", ImportToolTests.perf)
        let result = try Tool.analyze.run(["import", input, "-o", directory.file("out.log")])
        #expect(result.status == 0 && result.output.isEmpty, "\(result.errors)")
        #expect(result.errors.contains("3 branches, 0 events, from perf-script"))
        let log = try LogFile(path: directory.file("out.log"))
        #expect(log.completeness == .closed && log.structuralDamage.isEmpty && log.verify().isIntact)
        let attributes = log.attributes
        #expect(attributes["import.source"] == "branches.txt" && attributes["import.format"] == "perf-script")
        #expect(attributes["import.size"] == String(ImportToolTests.perf.utf8.count))
        let sum = String(try Tool(path: "/usr/bin/sha256sum").run([input]).output.prefix(64))
        #expect(attributes["import.sha256"] == sum)
        // The other tools show the same of the text as of the log.
        for arguments in [["--format", "csv"], ["--calls"]] {
            let text = try Tool.dump.run(arguments + [input])
            let imported = try Tool.dump.run(arguments + [log.path])
            #expect(text.status == 0 && text.output == imported.output && !text.output.isEmpty)
        }
        #expect(try Tool.analyze.run(["diverge", input, input]).status == 0)
        #expect(try Tool.analyze.run(["diverge", input, log.path]).status == 0 && log.header.machine == .unknown)
        #expect(try Tool.analyze.run(["verify", input]).status == 0)
        #expect(try Tool.analyze.run(["index", input, "-o", directory.file("x.ttidx")]).status == 0)
    }

    @Test func nothingIsReplacedWithoutForceAndNeverTheInput() throws {
        let input = try write("branches.txt", ImportToolTests.perf)
        let output = try write("old", "old")
        #expect(try Tool.analyze.run(["import", input, "-o", output]).status == 2)
        #expect(try String(contentsOfFile: output, encoding: .utf8) == "old")
        #expect(try Tool.analyze.run(["import", "--force", input, "-o", input]).status == 2)
        #expect(try String(contentsOfFile: input, encoding: .utf8) == ImportToolTests.perf)
        #expect(try Tool.analyze.run(["import", "--force", input, "-o", output]).status == 0)
        // A log is not imported, and an input that cannot be read leaves no file.
        #expect(try Tool.analyze.run(["import", output, "-o", directory.file("again")]).status == 2)
        #expect(try Tool.analyze.run(["import", write("text", "text\n"), "-o", directory.file("none")]).status == 2)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() == [
                "branches.txt", "old", "text",
            ])
    }

    @Test func aDirectoryGetsARunsLog() throws {
        let input = try write("branches.txt", ImportToolTests.perf)
        #expect(try Tool.analyze.run(["import", input, "-o", directory.file("run/")]).status == 0)
        #expect(try Tool.dump.run(["--format", "csv", directory.file("run")]).output.split(separator: "\n").count == 4)
    }

    @Test func damageIsReportedAndTheRestIsWritten() throws {
        let input = try write("branches.txt", ImportToolTests.perf + "prog 7/7 [000] 1.0:  1 branches:uH:  call 40")
        let result = try Tool.analyze.run(["import", input, "-o", directory.file("out.log")])
        #expect(result.status == 2 && result.errors.contains("offset \(ImportToolTests.perf.utf8.count), "))
        #expect(result.errors.contains("line 4: "))
        #expect(
            try Tool.dump.run(["--format", "csv", directory.file("out.log")]).output.split(separator: "\n").count == 4)
    }

    @Test func rawRecordsAreImportedWithTheirCounters() throws {
        var bytes = [UInt8](repeating: 0xff, count: 24)
        for (index, counter) in [7, 8, 20, 21, 3].enumerated() {
            bytes += Event.payload(words: [0x1000 + UInt64(index), 0x2000, UInt64(counter)])
        }
        let input = directory.file("raw")
        try Data(bytes).write(to: URL(fileURLWithPath: input))
        let result = try Tool.analyze.run(["import", input, "-o", directory.file("out.log")])
        #expect(result.status == 2 && result.errors.contains("offset 120"), "\(result.errors)")
        let log = try LogFile(path: directory.file("out.log"))
        var clocks: [UInt64] = []
        var cursor = log.branches()
        while let branch = cursor.next() { clocks.append(branch.clock) }
        #expect(clocks == [7, 8, 20, 21] && log.header.clockBase == 7)
    }

    /// Two records of a trace buffer of Xen: a switch to a vCPU, and an exit of it.
    private static let xentrace: [UInt8] = [
        0x2001_f003, 0, 52, 0xc002_800a, 5, 0, 0x7fff, 0, 1, 0, 0xb008_1102, 9, 0, 10, 0x1000, 0,
    ].flatMap { (word: UInt32) in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) } }

    @Test(arguments: [
        ("csv", Array("vcpu,brctr,from,to,class\n0,0,1,2,call\n1,5,3,4,ret\n".utf8)),
        ("jsonl", Array("{\"from\":1,\"to\":2}\n{\"kind\":\"interrupt\",\"vector\":3}\n".utf8)), ("xentrace", xentrace),
    ]) func allToolsReadAFormat(name: String, bytes: [UInt8]) throws {
        let input = directory.file("input")
        try Data(bytes).write(to: URL(fileURLWithPath: input))
        for arguments in [
            ["info", input], ["verify", input], ["events", "--stream", "all", input], ["diverge", input, input],
            ["index", input, "-o", directory.file("index")],
            ["slice", "--range", "0:1", input, directory.file("part")],
            ["import", input, "-o", directory.file("log")], ["diverge", input, directory.file("log")],
        ] {
            let result = try Tool.analyze.run(arguments)
            #expect(result.status == 0, "\(name): \(arguments): \(result.errors)")
        }
        #expect(try LogFile(path: directory.file("log")).attributes["import.format"] == name)
        // Without its last byte the file is damaged: all tools say so, and show the rest.
        try Data(bytes.dropLast()).write(to: URL(fileURLWithPath: input))
        for arguments in [
            ["events", "--stream", "all", input], ["import", "--force", input, "-o", directory.file("log")],
        ] {
            let result = try Tool.analyze.run(arguments)
            #expect(result.status == 2 && result.errors.contains("offset "), "\(name): \(arguments): \(result.errors)")
        }
    }

    /// What perf itself prints of branches in a `perf.data`, with each selection of fields that has both addresses.
    @Test(.enabled(if: access("/usr/bin/perf", X_OK) == 0)) func theOutputOfPerfIsRead() throws {
        let log = try LogFile(path: FixtureTests.path("recording.log"))
        var branches: [Branch] = []
        var cursor = log.branches(from: 1_067_000, to: 1_068_000)
        while let branch = cursor.next() { branches.append(branch) }
        try PerfStyleTests.perfData(branches, mapping: 0x200000..<0x202000, offset: 0x1000)
            .write(to: URL(fileURLWithPath: directory.file("perf.data")))
        for fields in [
            nil, "ip,addr", "ip,sym,symoff,addr,dso", "comm,pid,tid,cpu,time,event,ip,sym,addr,flags,period",
            "comm,tid,event,ip,addr,flags", "tid,time,ip,addr",
        ] {
            let selection = fields.map { ["-F", $0] } ?? []
            let text = try Tool(path: "/usr/bin/perf").run(["script", "-i", directory.file("perf.data")] + selection)
            let imported = try LogFile.open(path: write("perf.txt", text.output))
            #expect(imported.format == .perfScript && imported.structuralDamage.isEmpty)
            var read: [Branch] = []
            var cursor = imported.branches()
            while let branch = cursor.next() { read.append(branch) }
            #expect(read.map(\.from) == branches.map(\.from) && read.map(\.to) == branches.map(\.to), "\(fields ?? "")")
        }
    }
}
