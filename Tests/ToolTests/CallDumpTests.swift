// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// `bts-dump --calls` and `--folded`.
@Suite struct CallDumpTests {
    /// Calls, an interrupt, a system call, a longjmp, a new task and the switch back.
    static let calls = """
        options nonce=1 name=sample kind=recording features=branches,icount,labels
        let k = 0xffffffff81000000
        branch k+0x1000 -> k+0x2000 call! +10
        branch k+0x2010 -> k+0x3000 call! +4
        branch k+0x3004 -> k+0x9000 none +2
        branch k+0x9010 -> k+0x9100 call! +5
        branch k+0x9108 -> k+0x9015 ret +3
        branch k+0x9020 -> k+0x3007 iret +6
        branch k+0x3010 -> k+0x4000 call-indirect +8
        branch k+0x4008 -> k+0x2040 jmp-indirect +9
        branch k+0x2050 -> k+0x1005 ret +7
        branch k+0x1010 -> k+0x7000 call! +3
        branch k+0x7010 -> k+0x8000 call! +2
        branch k+0x8010 -> k+0x5000 ret +1
        branch k+0x5010 -> 0x400000 iret +20
        branch 0x400010 -> 0x400100 call! +11
        branch 0x400110 -> k syscall +12
        branch k+0x10 -> k+0x7000 call! +2
        branch k+0x7010 -> k+0x8000 call! +2
        branch k+0x8010 -> k+0x7015 ret +1
        branch k+0x7020 -> k+0x1015 ret +4
        branch k+0x1020 -> k+0x1000 jmp! +5
        """

    private func check(_ arguments: [String], _ snapshot: String) throws {
        let fixture = try LogFixture(Self.calls)
        let result = try Tool.dump.run(arguments + [fixture.log])
        #expect(result.status == 0, "\(result.errors)")
        let text = fixture.normalized(result.output) + "--- standard error\n" + fixture.normalized(result.errors)
        try expectSnapshot(text, snapshot)
    }

    @Test func tree() throws { try check(["--calls"], "bts-dump-calls.txt") }
    @Test func treeJSONLines() throws { try check(["--calls", "--format", "jsonl"], "bts-dump-calls.jsonl") }
    @Test func treeOfSomeDepth() throws { try check(["--calls", "--depth", "1"], "bts-dump-calls-depth.txt") }
    @Test func folded() throws { try check(["--folded"], "bts-dump-folded.txt") }
    @Test func foldedJSONLines() throws { try check(["--folded", "--format", "jsonl"], "bts-dump-folded.jsonl") }

    /// The counts of a real run add up to all of it, and names come from the guest's file.
    @Test func foldedCountsAddUp() throws {
        let (path, guest) = (FixtureTests.path("recording.log"), FixtureTests.path("tiny.elf"))
        let log = try LogFile(path: path)
        var branches = log.branches()
        let next = branches.next()
        let first = try #require(next)
        var last = first
        while let branch = branches.next() { last = branch }
        let result = try Tool.dump.run(
            ["--folded", "--no-cache", "--symbols", guest, path])
        #expect(result.status == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n")
        let counts = lines.compactMap { line in line.split(separator: " ").last.flatMap { UInt64($0) } }
        #expect(counts.count == lines.count && lines.count > 50)
        #expect(counts.reduce(0, +) == last.icount - first.icount)
        #expect(lines.contains { $0.contains(";kernel_main;fibonacci;fibonacci ") })
    }

    /// A symbol file shows which jumps are calls: trap_entry after each vector's stub.
    @Test func tailCallsAreNamed() throws {
        let (path, guest) = (FixtureTests.path("recording.log"), FixtureTests.path("tiny.elf"))
        let result = try Tool.dump.run(
            ["--calls", "--no-cache", "--symbols", guest, path])
        #expect(result.status == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n")
        let stubs = lines.indices.filter { lines[$0].contains(" vector_32  [interruption at ") }
        #expect(stubs.count > 5)
        for index in stubs { #expect(lines[index + 1].hasSuffix(" trap_entry  [tail call]")) }
    }

    @Test func refusals() throws {
        let fixture = try LogFixture(Self.calls)
        for arguments in [
            ["--calls", "--folded"], ["--depth", "3"], ["--calls", "--depth", "0"], ["--calls", "--format", "csv"],
        ] {
            let result = try Tool.dump.run(arguments + [fixture.log])
            #expect(result.status == 2 && result.output.isEmpty && result.errors.contains("--"), "\(arguments)")
        }
        let bare = try LogFixture("options features=branches\nbranch 0x1000 -> 0x2000 unknown")
        let result = try Tool.dump.run(["--calls", bare.log])
        #expect(result.status == 2 && result.errors.contains("no classes of branches"))
    }
}
