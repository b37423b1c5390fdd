// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Foundation
import LogFormat
import Reporting
import Symbolize
import TestSupport
import Testing

/// Reports of small assembled logs, as text and JSON, against golden files named after the tests.
@Suite("Reports")
struct ReportTests {
    static let code = """
        options codec=raw kind=recording uuid=00112233445566778899aabbccddeeff features=branches,icount,labels,causes,accesses,access-values name=synthetic
        branch 0x1000 -> 0x1100 call! +3
        repeat 5 {
            branch 0x1118 -> 0x1100 jcz +7
        }
        access port-read ip=0x1120 info=1 address=0x60 value=0x1c +2
        branch 0x1122 -> 0x1200 call! +3
        event interrupt ip=0x1200 info=32 value=0x9000
        branch 0x1200 -> 0x9000 none +0
        branch 0x9010 -> 0x1200 iret +4
        """.replacingOccurrences(of: "jcz", with: "jcc!")

    static let end = """
        branch 0x1210 -> 0x1220 jcc! +5
        branch 0x1230 -> 0x1127 ret +5
        branch 0x1130 -> 0x1005 ret +2
        """

    static let otherEnd = """
        branch 0x1218 -> 0x1240 jmp! +7
        access rdtsc ip=0x1240 value=0x100000
        branch 0x1250 -> 0x1127 ret +5
        """

    /// Aligns two logs and checks the text and the JSON form of the document. The text is made from the document alone:
    /// a document that was decoded from JSON gives the same text.
    private func check(
        _ original: String, _ replay: String, name: String = #function, runDirectory: String? = nil
    ) throws -> String {
        let directory = try temporaryDirectory()
        let paths = (directory.file("original.log"), directory.file("replay.log"))
        try assemble(original, to: paths.0)
        try assemble(replay, to: paths.1)
        let logs = (try LogFile(path: paths.0), try LogFile(path: paths.1))
        var options = AlignmentOptions()
        options.contextCount = 4
        var document = DivergenceDocument(
            try align(logs.0, logs.1, options: options),
            original: ReportedRun(logs.0, directory: runDirectory), replay: ReportedRun(logs.1))
        let title = String(name.prefix { $0 != "(" })
        let text = document.text()
        #expect(try DivergenceDocument(json: document.json()).text() == text)
        expectSnapshot(text.replacingOccurrences(of: directory.path, with: "DIR"), "\(title).txt")
        // Lines with the directory's name are as long as that name requires.
        for line in text.split(separator: "\n") where !line.contains(directory.path) {
            #expect(line.count <= 80, "\(line)")
        }
        document.spellCommands { "\($0.action.rawValue) \($0.path)" }
        let spelled = document.text()
        for step in document.commands { #expect(spelled.contains("\(step.action.rawValue) \(step.path)")) }
        expectSnapshot(
            try document.json().replacingOccurrences(of: directory.path, with: "DIR") + "\n", "\(title).json")
        return text
    }

    private func replay(_ parts: String...) -> String {
        parts.joined(separator: "\n").replacingOccurrences(of: "kind=recording", with: "kind=replay")
    }

    private var whole: String { ReportTests.code + "\n" + ReportTests.end }

    @Test func identical() throws {
        _ = try check(whole + "\ncomparable-end shutdown", replay(whole, "comparable-end shutdown\nbranch 0x1 -> 0x2"))
    }

    @Test func controlFlow() throws {
        let text = try check(whole, replay(ReportTests.code, ReportTests.otherEnd))
        // The verdict comes first.
        #expect(text.hasPrefix("control flow differs\n"))
    }

    @Test func movedInterrupt() throws {
        let late = whole.replacingOccurrences(
            of: "event interrupt ip=0x1200", with: "branch 0x1208 -> 0x1200 jcc! +4\nevent interrupt ip=0x1200")
        _ = try check(whole, replay(late), runDirectory: "my run")
    }

    @Test("settings that differ are the cause, before any input")
    func configuration() throws {
        let directory = try temporaryDirectory()
        let paths = (directory.file("original.log"), directory.file("replay.log"))
        try assemble(whole, to: paths.0)
        try assemble(replay(ReportTests.code, ReportTests.otherEnd), to: paths.1)
        let logs = (try LogFile(path: paths.0), try LogFile(path: paths.1))
        let same = [RunSetting("engine", "qemu 10.0"), RunSetting("kernel", "/a/vmlinux", identity: "1")]
        func causes(_ a: [RunSetting], _ b: [RunSetting]) throws -> [DivergenceDocument.CauseItem] {
            let document = DivergenceDocument(
                try align(logs.0, logs.1), original: ReportedRun(logs.0, settings: a),
                replay: ReportedRun(logs.1, settings: b))
            #expect(try DivergenceDocument(json: document.json()) == document)
            return try #require(document.vcpus.first?.divergence).causes
        }
        let changed = [
            RunSetting("engine", "qemu 10.0"), RunSetting("kernel", "/b/vmlinux", identity: "2"),
            RunSetting("memory", "96M"),
        ]
        let found = try causes(same, changed)
        #expect(found.map(\.kind) == [.configuration, .configuration])
        #expect(found.map(\.name) == ["kernel", "memory"])
        #expect(found.first?.original == "/a/vmlinux" && found.first?.replay == "/b/vmlinux")
        // The engine's input log is one file for a recording and its replays, and differs between recordings.
        let input = [RunSetting("input log", "sha256 1", identity: "1")]
        let edited = [RunSetting("input log", "sha256 2", identity: "2")]
        #expect(try causes(same + input, same + edited).map(\.name) == ["input log"])
        #expect(try causes(same + input, same).map(\.kind) == [.notSeen])
        // The place of a file is no difference.
        let moved = [RunSetting("engine", "qemu 10.0"), RunSetting("kernel", "/b/vmlinux", identity: "1")]
        #expect(try causes(same, moved).map(\.kind) == [.notSeen])
        // Without a manifest nothing is known.
        #expect(try causes([], changed).map(\.kind) == [.notSeen])
    }

    @Test func missingEvent() throws {
        let lines = whole.split(separator: "\n").filter { !$0.hasPrefix("access port-read") }
        _ = try check(whole, replay(lines.joined(separator: "\n")))
    }

    @Test func payload() throws {
        _ = try check(whole, replay(whole.replacingOccurrences(of: "value=0x1c", with: "value=0x9c")))
    }

    @Test func replayEndedEarly() throws {
        _ = try check(whole, replay(ReportTests.code, "run-end hung nothing moved for 3 s"))
    }

    /// A recorder that checks its replay at exits: the place of the last one names what the guest did before dom0 wrote.
    @Test func foreignWrite() throws {
        func log(_ value: Int) -> String {
            """
            options features=causes clock=synchronous-entries recorder=xen mode=events
            event exit clock=0 ip=0x1000 registers=1 info=0x1010000 value=2
            event exit clock=1 ip=0x2000 registers=2 info=0x4010000 value=2
            event foreign-write clock=2 info=0x803 address=0x10 value=\(value)
            event exit clock=2 ip=0x2100 registers=3 info=0x9010000 value=1
            """
        }
        let text = try check(log(0xb0), log(0xb1))
        #expect(text.contains("  guest at  exit 1\n            0x2000\n"))
    }

    /// An exit in a page for hypercalls has no source line: the one before it names what the guest did.
    @Test(arguments: [
        ("event interrupt clock=2 info=0xf3\nEXIT", "EXIT", true),  // neither record has an address
        ("EXIT", "OTHER", true),
        ("KNOWN", "KNOWN OTHER", false),
    ])
    func exitWithoutSource(original: String, replay: String, isShown: Bool) throws {
        let program = Symbolizer()
        try program.add(
            URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../Fixtures/tiny/tiny.elf").standardized.path)
        let directory = try temporaryDirectory()
        func run(_ lines: String, _ name: String) throws -> ReportedRun {
            let exit = "event exit clock=2 ip=0x9000 registers=3 info=0x4010000 value=2"
            let known = exit.replacingOccurrences(of: "0x9000", with: "0x201048")
            let lines =
                switch lines {
                case "OTHER": exit.replacingOccurrences(of: "value=2", with: "value=3")
                case "KNOWN": known
                case "KNOWN OTHER": known.replacingOccurrences(of: "value=2", with: "value=3")
                default: lines.replacingOccurrences(of: "EXIT", with: exit)
                }
            try assemble(
                """
                options features=causes clock=synchronous-entries recorder=xen mode=events
                event exit clock=0 ip=0x201042 registers=1 info=0x1010000 value=2
                event exit clock=1 ip=0x9000 registers=2 info=0x4010000 value=2
                \(lines)
                event exit clock=3 ip=0x9000 registers=4 info=0x4010000 value=2
                """, to: directory.file(name))
            return ReportedRun(try LogFile(path: directory.file(name)), symbolizer: program, symbolFiles: ["tiny.elf"])
        }
        let runs = (try run(original, "original"), try run(replay, "replay"))
        let text = DivergenceDocument(try align(runs.0.log, runs.1.log), original: runs.0, replay: runs.1).text()
        #expect(text.contains("  guest at  exit 0\n            0x201042") == isShown, "\(text)")
    }

    @Test func notComparable() throws {
        _ = try check(whole, replay(whole.replacingOccurrences(of: "options ", with: "options machine=183 ")))
    }

    @Test func digestOnly() throws {
        func log(_ turns: Int) -> String {
            """
            options codec=raw mode=digest kept=1 branch-cell-shift=4 features=branches,icount,labels
            repeat \(turns) {
                branch 0x1018 -> 0x1000 jcc! +7
            }
            branch 0x1020 -> 0x1100 jmp! +2
            repeat 60 {
                branch 0x1118 -> 0x1100 jcc! +7
            }
            """
        }
        _ = try check(log(20), log(21))
    }

    @Test("control characters from a log do not reach a terminal")
    func hostileText() throws {
        let directory = try temporaryDirectory()
        let path = directory.file("log")
        let writer = try LogWriter(path: path)
        writer.branch(from: 1, to: 2, icount: 1, label: BranchLabel(.ret))
        writer.comparableEnd(clock: 1, icount: 1, reason: "\u{1B}]0;title\u{7}\nnew line")
        try writer.close()
        let other = directory.file("other")
        let second = try LogWriter(path: other)
        second.branch(from: 1, to: 2, icount: 1, label: BranchLabel(.ret))
        second.branch(from: 1, to: 2, icount: 2, label: BranchLabel(.ret))
        second.comparableEnd(clock: 2, icount: 2, reason: "end")
        try second.close()
        let logs = (try LogFile(path: other), try LogFile(path: path))
        let alignment = try align(logs.0, logs.1)
        #expect(alignment.verdict == .replayEndedEarly)
        let document = DivergenceDocument(alignment, original: ReportedRun(logs.0), replay: ReportedRun(logs.1))
        #expect(!document.text().unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
        let colored = document.text(TextStyle(isColored: true))
        #expect(colored.contains("\u{1B}[31mreplay ended early\u{1B}[0m"))
    }

    /// User code enters the kernel, where the runs part: the address space, and the code that entered.
    @Test func runningCode() throws {
        let code = """
            options codec=raw features=branches,icount,labels,causes,context name=synthetic
            event context ip=0xffffffff81000040 value=0x6e10000 value=0xffffc90000013e80
            branch 0xffffffff81000050 -> 0x401000 sysret +3
            branch 0x401010 -> 0x401100 call! +4
            event context ip=0xffffffff81000044 value=0x6e20000 value=0xffffc90000023e80
            branch 0x401108 -> 0xffffffff81800000 syscall +2
            branch 0xffffffff81800010 -> 0xffffffff81000100 call! +4
            """
        let text = try check(
            code + "\nbranch 0xffffffff81000108 -> 0xffffffff81000140 jcc! +2",
            code + "\nbranch 0xffffffff81000120 -> 0xffffffff81000180 jcc! +5")
        #expect(text.contains("kernel code in the address space 0x6e20000, since brctr 2"))
        #expect(text.contains("entered at brctr 2 from 0x401108"))
    }
}
