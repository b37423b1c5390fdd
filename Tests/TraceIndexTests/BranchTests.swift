// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing
import TraceIndex

@Suite struct BranchTests {
    @Test func branchesComeFromTheLog() throws {
        try QueryCase.expect(
            Logs.small, #"SELECT brctr, vcpu, icount, "from", "to", kind FROM branch WHERE brctr >= 41"#,
            """
            41,0,288,0xffffffff81000108,0xffffffff81a00000,none
            42,0,297,0xffffffff81a00010,0xffffffff81000108,iret
            43,0,299,0xffffffff8100010c,0xffffffff81a00100,none
            44,0,303,0xffffffff81a00110,0xffffffff81000130,jmp-indirect
            45,0,309,0xffffffff81000140,0xffffffff81000015,ret
            """)
    }

    /// Every constraint that the table takes must give what a test of all rows gives.
    @Test func constraintsLeaveTheRowsThatMatch() throws {
        let test = try QueryCase(Logs.small)
        let session = try test.session()
        let conditions = [
            "brctr = 7", "brctr > 40 AND brctr <= 43", "brctr < 3", "brctr BETWEEN 15 AND 17",
            "brctr > 2.5 AND brctr < 4.5", "brctr > 100", "brctr < 0", "brctr IS NULL", "icount > 290",
            "icount BETWEEN 20 AND 40", "vcpu = 0", "vcpu = 1", "kind = 'ret'", "kind = 'nothing'",
            #""to" = 0xffffffff81000100"#, #""from" = 0xffffffff81000010"#, "epoch = 0", "epoch > 0",
            #""to" = 0xffffffff81000100 AND brctr > 38"#, #""from" = 1"#, "brctr IN (1, 2, 45)",
            "brctr >= -9223372036854775808", "brctr <= 9223372036854775807", "brctr = NULL",
        ]
        for stages in [[], [BuildStage.edges]] {
            if !stages.isEmpty { _ = try session.csv("SELECT count(*) FROM edge") }
            for condition in conditions {
                let fast = try session.csv("SELECT * FROM branch WHERE \(condition)")
                // The unary plus keeps SQLite from handing the condition to the table.
                let plain = condition.replacing(/"?\b(brctr|icount|vcpu|kind|from|to|epoch)\b"?/) {
                    "+\"\($0.output.1)\""
                }
                let slow = try session.csv("SELECT * FROM branch WHERE \(plain)")
                #expect(fast == slow, "\(condition)")
            }
        }
    }

    @Test func orderIsThatOfTheLogInBothDirections() throws {
        let test = try QueryCase(Logs.small)
        #expect(try test.rows("SELECT brctr FROM branch ORDER BY brctr LIMIT 3") == "0\n1\n2")
        #expect(try test.rows("SELECT brctr FROM branch ORDER BY brctr DESC LIMIT 3") == "45\n44\n43")
        let last =
            #"SELECT brctr FROM branch WHERE "to" = 0xffffffff81000100 AND brctr < 20 ORDER BY brctr DESC LIMIT 1"#
        #expect(try test.rows(last) == "19")
        let all = try test.rows("SELECT brctr FROM branch ORDER BY brctr DESC")
        #expect(all == (0...45).reversed().map { "\($0)" }.joined(separator: "\n"))
    }

    @Test func edgesCountTheBranches() throws {
        try QueryCase.expect(
            Logs.small,
            #"SELECT "from", "to", kind, count, first_brctr, last_brctr FROM edge ORDER BY count DESC, 1 LIMIT 2"#,
            """
            0xffffffff81000120,0xffffffff81000100,jcc!,40,1,40
            0xffffffff81000010,0xffffffff81000100,call!,1,0,0
            """)
        let test = try QueryCase(Logs.small)
        let grouped =
            #"SELECT "from", "to", kind, count(*), min(brctr), max(brctr) FROM branch GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"#
        let edges = #"SELECT "from", "to", kind, count, first_brctr, last_brctr FROM edge ORDER BY 1, 2, 3"#
        #expect(try test.rows(edges) == test.rows(grouped))
    }

    @Test func vCPUsAndEpochsStayApart() throws {
        let text = SampleText.twoVCPUs
        try QueryCase.expect(
            text, "SELECT vcpu, epoch, count(*), min(brctr) FROM branch GROUP BY 1, 2", "0,0,3,0\n1,0,1,0\n1,1,1,100")
        try QueryCase.expect(text, "SELECT vcpu, brctr FROM branch ORDER BY brctr DESC LIMIT 2", "1,100\n0,2")
        try QueryCase.expect(text, "SELECT count FROM stats WHERE name = 'gap'", "1")
    }

    @Test func joinsFindEachBranch() throws {
        try QueryCase.expect(
            Logs.small, "SELECT e.seq, b.kind FROM event AS e JOIN branch AS b ON b.brctr = e.brctr", "1,none\n2,none")
    }

    /// SQLite answers OR by two scans, and takes rows with one rowid for one row: two vCPUs have the same counters.
    @Test func twoVCPUsHaveRowsOfTheirOwn() throws {
        let text = """
            options vcpus=2 features=branches,icount,labels
            vcpu 0
            branch 0x1000 -> 0x2000 jmp! +1
            branch 0x2000 -> 0x1000 jmp! +1
            vcpu 1
            branch 0x1000 -> 0x3000 jmp! +1
            branch 0x3000 -> 0x1000 jmp! +1
            """
        try QueryCase.expect(text, #"SELECT count(*) FROM branch WHERE "to" = 4096 OR "from" = 4096"#, "4")
    }
}
