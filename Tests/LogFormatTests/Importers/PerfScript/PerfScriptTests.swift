// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

@Suite("perf script: lines, gaps, threads, branch stacks")
struct PerfScriptTests {
    /// Lines as perf 6.1 prints them, with what they state: from, to, label.
    static let lines: [(line: String, from: UInt64, to: UInt64, label: String)] = [
        (
            "            tiny     1/1     [000]     0.000003:          1 branches:HG:   call                    2002a2 "
                + "handle_trap+0x12 (/tiny.elf) =>           2002e8 handle_trap+0x58 (/tiny.elf)", 0x2002a2, 0x2002e8,
            "call!"
        ),
        (
            "tmux: server 12/13 [010] 226615.395902804:  branches:uH:   jcc  401000 a => 401010 b", 0x401000, 0x401010,
            "jcc!"
        ),
        (":22 22/22 [010] 1.000000001:  branches:  return  401000 => 401010", 0x401000, 0x401010, "ret"),
        (
            "7166/7166  4512623.871133092:  1 branches:uH: jmp 9bc6db a::B<c, d>::run+0x1eb (f.so) => 9f68b0 J<int, s>+0x0 (f.so)",
            0x9bc6db, 0x9f68b0, "jmp!"
        ),
        (
            "x 1 [000] 5.0: 1 branches:k: syscall 401000 => ffffffff81c00000 entry", 0x401000, 0xffff_ffff_81c0_0000,
            "syscall"
        ),
        (
            "x 1 [000] 5.0: 1 branches:k: sysret ffffffff81c00000 x => 401002 y", 0xffff_ffff_81c0_0000, 0x401002,
            "sysret"
        ),
        ("x 1 [000] 5.0: 1 branches:k: hw int 401002 y => ffffffff81c01000 i", 0x401002, 0xffff_ffff_81c0_1000, "none"),
        ("x 1 [000] 5.0: 1 branches:k: iret ffffffff81c01200 i => 401002 y", 0xffff_ffff_81c0_1200, 0x401002, "iret"),
        ("x 1 [000] 5.0: 1 branches:k: int 401002 y => ffffffff81c01000 i", 0x401002, 0xffff_ffff_81c0_1000, "int"),
        ("x 1 [000] 5.0: 1 branches:k: async 401002 y => 401002 y", 0x401002, 0x401002, "none"),
        ("x 1 [000] 5.0: 1 branches:u: call (x) 401002 y => 402000 y", 0x401002, 0x402000, "call!"),
        ("x 1 [000] 5.0: 1 branches:u: jcc/miss/ 401002 y => 402000 y", 0x401002, 0x402000, "jcc!"),
        ("x 1 [000] 5.0: 1 branches:u: tr end  return 401002 y => 402000 y", 0x401002, 0x402000, "ret"),
        ("x 1 [000] 5.0: 1 branches:u: vmexit 401002 y => 402000 y", 0x401002, 0x402000, "unknown"),
        (
            "x 1 [000] 5.0: call 56234f77576b x => +0xb (foo.so) => 56234f4bc7a0 apply2+0x0 (foo.so)", 0x5623_4f77_576b,
            0x5623_4f4b_c7a0, "call!"
        ),
        ("x 1 [000] 5.0: branches: call   operator new   2213f1d add (d) => dead beef (d)", 0x2213f1d, 0xdead, "call!"),
        ("            2000fe =>           200290", 0x2000fe, 0x200290, "unknown"),
        ("  jcc    401000 add+0x1 (d) => 401010 face+0x0 (d)\t IPC: 1.50 (3/2)", 0x401000, 0x401010, "jcc!"),
    ]

    @Test("a line is the branch that it states", arguments: lines.indices)
    func line(index: Int) throws {
        let (line, from, to, label) = PerfScriptTests.lines[index]
        let log = try ForeignInput(line + "\n").log()
        #expect(log.format == .perfScript && log.structuralDamage.isEmpty)
        let branches = log.allBranches()
        #expect(
            branches == [Branch(clock: 0, from: from, to: to, icount: 0, label: try #require(BranchLabel(name: label)))]
        )
        let hasLabels = log.header.features.contains(.labels)
        #expect(hasLabels == (index != 16) && !log.header.features.contains(.icount))
    }

    @Test("the end and the beginning of the trace, errors and lost records are gaps of their thread")
    func gaps() throws {
        let log = try ForeignInput(
            """
            # a comment
            a 1/1 [000] 1.0: branches: tr strt              0 [unknown] => 1000 main
            a 1/1 [000] 1.1: branches: call           1000 main => 2000 f
            b 2/2 [001] 1.1: branches: jmp            9000 main => 9100 f
            a 1/1 [000] 1.2: branches: tr end  syscall  2004 f => 0 [unknown]
            a 1/1 [000] 1.3: cbr: 29 freq: 2900 MHz (100%)
            a 1/1 [000] 1.3: branches: tr strt              0 [unknown] => 2006 f
            a 1/1 [000] 1.4: branches: return         2010 f => 1005 main
             instruction trace error type 1 time 1.5 cpu 0 pid 1 tid 1 ip 0x1009 code 7: Overflow packet
            a 1/1 [000] 1.6: branches: jmp            3000 g => 3100 g
            a 1/1 [000] 1.6: PERF_RECORD_MMAP 1/1: [0x200000(0x2000) @ 0x1000]: x /x
            b 2/2 [001] 1.6: branches: jmp            9200 main => 9300 f
            a 1/1 [000] 1.6: PERF_RECORD_LOST lost 12
            a 1/1 [000] 1.7: branches: jmp            3200 g => 3300 g
            b 2/2 [001] 1.7: branches: jmp            9400 main => 9500 f

            """
        ).log()
        #expect(log.structuralDamage.isEmpty && log.vcpus == [0, 1])
        #expect(log.allBranches().map(\.from) == [0x1000, 0x2010, 0x3000, 0x3200])
        #expect(log.allBranches().map(\.clock) == [0, 1, 2, 3])
        #expect(log.epochs() == [0, 1, 2, 3])
        let events = log.allEvents()
        #expect(events.map(\.kind) == [.traceGap, .traceGap, .traceGap] && events.map(\.clock) == [1, 2, 3])
        #expect(events.map { $0.validity.contains(.ip) } == [true, false, false] && events[0].ip == 0x2004)
        // The thread b has the lost records only.
        #expect(log.epochs(vcpu: 1) == [0, 2] && log.allEvents(vcpu: 1).map(\.clock) == [2])
        #expect(log.attributes["import.vcpu.1"] == "b 2/2")
        #expect(log.verify().isIntact)
    }

    @Test("without flags, an address of 0 is an end of the trace")
    func zeros() throws {
        let log = try ForeignInput("1000 => 2000\n2004 => 0\n0 => 3000\n3004 => 4000\n").log()
        #expect(log.allBranches().map(\.from) == [0x1000, 0x3004] && log.epochs() == [0, 1])
    }

    @Test("a line that cannot be read is damage with its offset, and a gap")
    func damagedLines() throws {
        let good = "a 1 [000] 1.0: branches: jmp 1000 => 2000\n"
        for bad in [
            "a 1 [000] 1.0: branches: jmp zz => 2000", "a 1 [000] 1.0: branches: jmp 1000 => 20x0",
            "a 1 [000] 1.0: branches: jmp 1000", "a 1 [000] 1.0: branches: b 401146 main => 401152",
            "12345 401000 => 402000", "binary \u{1}\u{2}", "a 1 [000] 1.0: branches: jmp 11112222333344445 => 2000",
        ] {
            let log = try ForeignInput(String(repeating: good, count: 10) + bad + "\n" + good).log()
            #expect(log.allBranches().count == 11 && log.epochs() == [0, 10], "\(bad)")
            let damage = try #require(log.structuralDamage.first)
            #expect(log.structuralDamage.count == 1 && damage.offset == UInt64(10 * good.utf8.count))
            #expect(damage.length == UInt64(bad.utf8.count + 1) && damage.description.contains("line 11: "))
        }
    }

    @Test("a file that ends within a line, and a line without end, are damage; the rest is read")
    func cut() throws {
        let good = "a 1 [000] 1.0: branches: jmp 1000 => 2000\n"
        let whole = String(repeating: good, count: 3)
        let cut = try ForeignInput(whole + good.dropLast(3)).log()
        #expect(cut.allBranches().count == 3 && cut.structuralDamage.map(\.offset) == [UInt64(whole.utf8.count)])
        let long = String(repeating: "x", count: 3 << 20)
        let log = try ForeignInput(whole + long + "\n" + good).log()
        #expect(log.allBranches().count == 4 && log.structuralDamage.count == 1)
        #expect(log.structuralDamage[0].length == UInt64(long.utf8.count + 1) && log.epochs() == [0, 3])
        let open = try ForeignInput(whole + long).log()
        #expect(open.allBranches().count == 3 && open.structuralDamage.map(\.length) == [UInt64(long.utf8.count)])
    }

    @Test("lines are found at every position relative to the reader's blocks")
    func blocks() throws {
        let line = "a 1 [000] 1.0: branches: jmp 1000 => 2000\n"
        for shift in [0, 1, 20, 41, 42] {
            let comment = "#" + String(repeating: "-", count: (1 << 20) - 4 * line.utf8.count - shift - 2) + "\n"
            let text = line + comment + String(repeating: line, count: 30_000)
            let log = try ForeignInput(text).log()
            #expect(log.chunks(.branch, vcpu: 0).reduce(0) { $0 + $1.count } == 30_001 && log.structuralDamage.isEmpty)
        }
    }

    @Test("idle threads count for their processor; without threads, each processor is a vCPU")
    func processors() throws {
        let idle = try ForeignInput(
            "swapper 0/0 [000] 1.0: branches: jmp 10 => 2000\nswapper 0/0 [003] 1.0: branches: jmp 10 => 2000\n"
        ).log()
        #expect(idle.vcpus == [0, 1])
        let plain = try ForeignInput("[000] 1.0: branches: jmp 10 => 2000\n[003] 1.0: branches: jmp 10 => 2000\n").log()
        #expect(plain.vcpus == [0, 1] && plain.attributes["import.vcpu.1"] == "[003]")
    }

    @Test("threads after the 256th are left out and counted")
    func tooManyThreads() throws {
        let text = (1...300).map { "a \($0)/\($0) [000] 1.0: branches: jmp 1000 => 2000\n" }.joined()
        let log = try ForeignInput(text).log()
        #expect(log.vcpus.count == 256 && log.vcpus.allSatisfy { log.allBranches(vcpu: $0).count == 1 })
        #expect(log.structuralDamage.count == 1 && log.structuralDamage[0].lostRecords == 44)
    }

    @Test("branch stacks are read from the oldest branch on; each sample is an epoch")
    func stacks() throws {
        let log = try ForeignInput(
            """
                tiny     1 [000]     0.000002:      10007 cycles:u:            2002e8 x+0x58 (/t.elf) \
            0x2000fe(/t.elf)/0x200290(/t.elf)/P/-/-/5/COND  0x2002a2/0x2002e8/M/-/-/7/IND_CALL 0x1/0x2/N/-/-/0  0x200290/0x2002a0/P/-/-/0/- \n\
                tiny     1 [000]     0.000003:      10007 cycles:u:            2002e8 x+0x58 0x1000/0x2000/P/-/-/0\n
            """
        ).log()
        #expect(log.allBranches().map(\.from) == [0x200290, 0x2002a2, 0x2000fe, 0x1000])
        #expect(log.allBranches().map(\.label.name) == ["unknown", "call-indirect", "jcc!", "unknown"])
        #expect(log.epochs() == [0, 3] && log.allEvents().isEmpty && log.structuralDamage.isEmpty)
    }

    @Test("Spoilt files are read or refused")
    func mutations() throws {
        let seed = PerfScriptTests.lines.map(\.line).joined(separator: "\n") + "\n"
        var mutations = ForeignMutations(
            Array(seed.utf8), number: 1, pieces: [" => ", "0x1/0x2/P/-", "\n", "branches:", "[", "tr end", "9/9"])
        let result = try mutations.run(2000)
        #expect(result.read > 0.25 && result.damaged > 0.15, "\(result)")
    }
}
