// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import LogFormat
import TestSupport
import Testing

/// The steps of a program in 0x1000 ..< 0x2000 of its file, which ran 0x400000 higher.
@Suite struct ProgramTracesTests {
    private func steps(_ text: String, slide: Int64 = 0x40_0000) throws -> [ProgramTraces.Step] {
        let scratch = try temporaryDirectory()
        try assemble(text, to: scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        let base = UInt64(bitPattern: slide)
        var traces = ProgramTraces([.init(range: (base + 0x1000)..<(base + 0x2000), slide: slide)])
        var steps: [ProgramTraces.Step] = []
        var branches = log.branches()
        while branches.nextBatch({ traces.add($0, $1) { steps.append($0) } }) {}
        traces.begin { steps.append($0) }
        return steps
    }

    @Test func branchesExitsAndReturns() throws {
        let found = try steps(
            """
            branch 0x500000 -> 0x401000 call!
            branch 0x401010 -> 0x401100 jcc!
            branch 0x401104 -> 0x700000 call-indirect
            branch 0x700010 -> 0x700020 jmp!
            branch 0x700020 -> 0x401106 ret
            branch 0x401110 -> 0x500005 ret
            """)
        #expect(
            found == [
                .enter(to: 0x1000, isReturn: false), .branch(from: 0x1010, to: 0x1100),
                .leave(from: 0x1104, to: 0x70_0000), .enter(to: 0x1106, isReturn: true),
                .leave(from: 0x1110, to: 0x50_0005),
            ])
    }

    /// The program does not see an interrupt, a fault or a system call, if it goes on there.
    @Test func whatTheKernelDoesEndsNoRun() throws {
        let found = try steps(
            """
            branch 0x401010 -> 0x401100 jmp!
            branch 0x401104 -> 0xffffffff81000000 none
            branch 0xffffffff81000010 -> 0x401104 iret
            branch 0x401108 -> 0xffffffff81000100 syscall
            branch 0xffffffff81000110 -> 0x40110a sysret
            branch 0x401120 -> 0x401100 jcc!
            """)
        #expect(found == [.branch(from: 0x1010, to: 0x1100), .branch(from: 0x1120, to: 0x1100)])
    }

    @Test func aSignalAndAnotherProcessEndIt() throws {
        let found = try steps(
            """
            branch 0x401104 -> 0xffffffff81000000 none
            branch 0xffffffff81000010 -> 0x401800 iret
            branch 0x401808 -> 0xffffffff81000100 syscall
            """)
        #expect(
            found == [.end(at: 0x1104), .enter(to: 0x1800, isReturn: false), .end(at: 0x1808)])
    }

    /// A kernel is the program: its interrupts are inside.
    @Test func interruptsOfAKernelAreNoBranches() throws {
        let found = try steps(
            """
            branch 0x401104 -> 0x401f00 none
            branch 0x401f08 -> 0x401104 iret
            branch 0x401108 -> 0x401100 jcc!
            """)
        #expect(
            found == [
                .end(at: 0x1104), .enter(to: 0x1f00, isReturn: false), .end(at: 0x1f08),
                .enter(to: 0x1104, isReturn: false), .branch(from: 0x1108, to: 0x1100),
            ])
    }

    @Test func counts() {
        var counts = TraceCounts()
        for _ in 0..<3 {
            counts.add(.branch(from: 0x10, to: 0x20))
            counts.add(.branch(from: 0x28, to: 0x8))
        }
        counts.add(.leave(from: 0x10, to: 0x9999))
        counts.add(.enter(to: 0x12, isReturn: true))
        counts.add(.end(at: 0x18))
        counts.add(.branch(from: 0x10, to: 0x20))
        counts.add(.end(at: 0x4))  // backwards: something is missing
        let found = counts.traces().map {
            "\($0.origin) \($0.from) \($0.to) \($0.end.map { String($0) } ?? "-") x\($0.count)\($0.isExit ? " exit" : "")"
        }
        #expect(
            found == [
                "branch 16 32 - x1", "branch 16 32 40 x3", "branch 16 39321 - x1 exit", "branch 40 8 16 x3",
                "externalReturn 0 18 24 x1",
            ])
    }

    @Test func aFullTableCountsWhatItLeavesOut() {
        var counts = TraceCounts(limit: 4)
        for address in 0..<10 as Range<UInt64> { counts.add(.leave(from: address, to: 1)) }
        #expect(counts.traces().count == 4)
        #expect(counts.leftOut == 6)
    }
}
