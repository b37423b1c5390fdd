// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import LogFormat
import MachineCode
import Symbolize
import TestSupport
import Testing

struct InstructionCheckTests {
    private func check(
        _ text: String, _ program: SmallProgram, file: String? = nil, options: String = ""
    ) throws -> InstructionCheck {
        let path = program.directory.file("ttd.log")
        try assemble(options + "\n" + program.definitions + "\n" + text, to: path)
        var code = CodeMap()
        try code.add(file ?? program.path)
        return try InstructionCheck.run(try LogFile(path: path), code)
    }

    @Test func everyStretchOfARunIsAccountedFor() throws {
        let check = try check(SmallProgram.run, SmallProgram())
        #expect(check.unexplained == 0, "\(check.contradictions)")
        #expect(check.stretches == 11 && check.withoutBeginning == 1)
        #expect(check.outside == 1 && check.outsideInstructions == 6)
        #expect(check.checked == 9 && check.equal == 8)
        // mov, rep movsb, xor and the load that faults are 4; 104 began.
        #expect(check.repeated == 1 && check.iterations == 100)
        #expect(check.discontinued == 1 && check.restarted == 1)
        #expect(check.modes == [.bits64: 9])
    }

    @Test func aChangedCountIsReported() throws {
        for (line, changed) in [
            ("branch function_end -> back ret +3", "branch function_end -> back ret +4"),
            ("branch end -> _start jmp! +2", "branch end -> _start jmp! +1"),
            // Fewer than there are: no repetition explains that.
            ("branch fault -> 0x9000 none +104", "branch fault -> 0x9000 none +3"),
        ] {
            let check = try check(SmallProgram.run.replacing(line, with: changed), SmallProgram())
            #expect(check.contradicted == [.count: 1], "\(changed)")
            #expect(check.contradictions.count == 1)
            let found = try #require(check.contradictions.first)
            #expect(found.begun != UInt64(found.stretch.count))
        }
    }

    @Test func aChangedInstructionIsReported() throws {
        let program = try SmallProgram()
        let cases: [(String, UInt64, [UInt8], InstructionCheck.Reason, UInt64)] = [
            ("nop; nop instead of push; pop: the same sizes, not seen", 0, [0x90, 0x90], .count, 0),
            ("one instruction of two bytes for two of one", 0, [0x89, 0xc0], .count, 1),
            ("an instruction that swallows the ret", 1, [0x6a], .decoding(.missesEnd), 1),
            ("a ret before the ret may go to the ret", 1, [0xc3], .count, 0),
            ("ud2", 0, [0x0f, 0x0b], .decoding(.passesBranch), 1),
            ("no instruction", 0, [0x0f, 0x04], .decoding(.unknownInstruction), 1),
            ("nop for ret", 2, [0x90], .label, 1),
        ]
        for (what, offset, bytes, reason, count) in cases {
            let file = try program.changed(at: program["function"] + offset, to: bytes)
            let check = try check(SmallProgram.run, program, file: file)
            #expect(check.contradicted == (count == 0 ? [:] : [reason: count]), "\(what)")
        }
        // The jump to `landing` goes elsewhere.
        let file = try program.changed(at: program["jump"] + 1, to: [0x00])
        #expect(try check(SmallProgram.run, program, file: file).contradicted == [.target: 1])
        // The direct call to the next instruction goes elsewhere: it cannot be passed.
        let other = try program.changed(at: program["call_it"] - 4, to: [0x01])
        #expect(try check(SmallProgram.run, program, file: other).contradicted == [.decoding(.passesBranch): 1])
    }

    @Test func whatIsMissingIsNoContradiction() throws {
        let program = try SmallProgram()
        // A gap, then a log without counts, then one whose recorder did not see the instruction.
        let gap = SmallProgram.run.replacing("branch function_end", with: "epoch 100\nbranch function_end")
        let gapped = try check(gap, program)
        #expect(gapped.unexplained == 0 && gapped.withoutBeginning == 2 && gapped.checked == 8)
        let uncounted = try check(SmallProgram.run, program, options: "options features=branches,labels")
        #expect(uncounted.unexplained == 0 && uncounted.uncounted == 9 && uncounted.equal == 0)
        let unseen = SmallProgram.run.replacing("function_end -> back ret +3", with: "function_end -> back unknown +2")
        let seen = try check(unseen, program)
        #expect(seen.unexplained == 0 && seen.unseen == 1)
    }

    @Test func wildAddressesAreContradictionsNotTraps() throws {
        let program = try SmallProgram()
        let text = """
            branch 0 -> end jmp! +1
            branch loop -> 0xfffffffffffffffe jmp-indirect +1
            branch 0xffffffffffffffff -> end+1 jmp-indirect +1
            branch 0xffffffffffffffff -> loop+1 jmp-indirect +1
            branch end+0x100000 -> loop jmp-indirect +1
            branch end+0x100 -> loop+1 jmp-indirect +1
            branch loop -> loop jmp-indirect +0xffffffffffffffff
            """
        let check = try check(text, program)
        #expect(check.contradicted[.decoding(.backwards)] == 2)
        #expect(check.contradicted[.decoding(.tooLong)] == 2)
        #expect(check.outside == 1)
        #expect(check.unexplained == check.checked)
    }

    /// From 16 to 32 to 64 bits, each far jump to the very next instruction.
    @Test func theModeFollowsFarJumps() throws {
        let source = """
                .globl _start, in32, in64, after, loop, end
                .text
                .code16
            _start:
                mov $0x1234, %eax
                mov $0x5678, %cx
                ljmpl $0x10, $in32
                .code32
            in32:
                mov $0x12345678, %eax
                inc %eax
                jmp after
                nop
            after:
                mov 0x1000, %eax
                ljmp $0x08, $in64
                .code64
            in64:
                movabs $0x123456789abcdef0, %rax
                inc %rax
            loop:
                dec %ecx
                jnz loop
                nop
            end:
                jmp loop
            """
        let program = try SmallProgram(source, origin: 0x8000)
        let text = """
            branch 0xffff0 -> 0xf0000 far +1
            branch 0xf0010 -> _start jmp-indirect +5
            branch after+0xfffffffffffffffd -> after jmp! +6
            branch loop+2 -> loop jcc! +6
            branch end -> loop jmp! +4
            """
        let check = try check(text, program)
        #expect(check.unexplained == 0, "\(check.contradictions)")
        #expect(check.equal == 3 && check.outside == 1)
        // The same bytes, one instruction more: with a near jump before, 32-bit code stays what it is.
        #expect(
            try self.check(text.replacing("loop jcc! +6", with: "loop jcc! +7"), program).contradicted == [.count: 1])
    }

    /// Without counts the code after a far jump decodes in two modes; the first stretch that decodes in one only decides.
    @Test func aModeThatWasGuessedIsCorrected() throws {
        let source = """
                .globl _start, far, loop, end
                .text
                .code32
            _start:
                mov $0x12345678, %eax
                jmp far
                nop
            far:
                mov $0x2000, %esp
                ljmp $0x08, $in64
                .code64
            in64:
                xor %eax, %eax
                mov $0xffffffffffffffff, %rax
            loop:
                dec %ecx
                jnz loop
                swapgs
                movabs $0x0606060606060606, %rax
            end:
                jmp loop
            """
        let text = """
            branch 0x100 -> _start far
            branch _start+5 -> far jmp!
            branch loop+2 -> loop jcc!
            branch end -> loop jmp!
            branch end -> loop jmp!
            """
        let check = try check(
            text, SmallProgram(source, origin: 0x8000), options: "options features=branches,labels")
        #expect(check.unexplained == 0, "\(check.contradictions)")
        #expect(check.uncounted == 4)
    }
}
