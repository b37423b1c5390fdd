// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
import Symbolize
import TestSupport
import Testing

@testable import BranchAnalysis

/// A kernel that patches its own code at the places in its tables.
struct PatchSiteTests {
    static let source = """
            .globl _start, back, alternative, after, end, function, site, thunk
            .text
        _start:
            call function
        back:
            nop
        alternative:
            .byte 0xe9, 0, 1, 0, 0          # jmp; becomes one to five instructions
        after:
            nop
        end:
            jmp _start
        function:
            push %rbx
            pop %rbx
        site:
            .byte 0xe9                      # jmp thunk; becomes ret
            .long thunk - . - 4
            int3
        thunk:
            ret
            .section .return_sites, "a"
            .long site - .
            .section .altinstructions, "a"
            .long alternative - ., 0
            .word 0
            .byte 5, 5
        """

    static let run = """
        branch 0x9000 -> _start iret +1
        branch _start -> function call! +1
        branch site -> back ret +3
        branch end -> _start jmp! +8
        branch _start -> function call! +1
        branch site -> back ret +3
        branch end -> _start jmp! +4
        branch _start -> function call! +1
        branch site+1 -> back ret +4
        """

    private func check(_ text: String, looking: Bool) throws -> InstructionCheck {
        let program = try SmallProgram(Self.source, origin: 0x1_0040_1000)
        let path = program.directory.file("ttd.log")
        try assemble(program.definitions + "\n" + text, to: path)
        var code = try program.code()
        if looking {
            try code.findPatchSites(Disassembler())
            #expect(
                code.patchSites == [
                    program["alternative"]..<program["after"], program["site"]..<program["site"] + 5,
                ])
        }
        let log = try LogFile(path: path)
        let matches = try CodeMatch.measure(log, code)
        #expect(matches.count == 1 && matches[0].path == program.path)
        // The call and the jump fit; the return does where it is left out.
        #expect(matches[0].places == (looking ? 2 : 4) && matches[0].fitting == 2)
        return try InstructionCheck.run(log, code)
    }

    @Test func whatTheKernelChangesIsNoContradiction() throws {
        let plain = try check(Self.run, looking: false)
        #expect(
            plain.patched == 0
                && plain.contradicted == [.label: 2, .decoding(.passesBranch): 2, .decoding(.missesEnd): 1])
        let looked = try check(Self.run, looking: true)
        #expect(looked.unexplained == 0, "\(looked.contradictions)")
        #expect(looked.patched == 5 && looked.patchedExactly == 3 && looked.equal == 3)
    }

    @Test func whatCannotStandThereIs() throws {
        for (line, changed, reason) in [
            // nop, at most five instructions, nop, jmp.
            ("jmp! +8", "jmp! +9", InstructionCheck.Reason.decoding(.passesBranch)),
            // nop, at least one, nop, jmp.
            ("jmp! +4", "jmp! +3", .decoding(.passesBranch)),
            // push, pop, and one at least.
            ("site -> back ret +3", "site -> back ret +2", .label),
        ] {
            let check = try check(Self.run.replacing(line, with: changed, maxReplacements: 1), looking: true)
            #expect(check.contradicted == [reason: 1], "\(changed)")
        }
    }

    /// Whether a file belongs to a log: other code does not, a few places do not decide.
    @Test func otherCodeDoesNotBelong() throws {
        #expect(CodeMatch(path: "a", places: 19, fitting: 0).belongs)
        #expect(!CodeMatch(path: "a", places: 20, fitting: 9).belongs)
        #expect(CodeMatch(path: "a", places: 20, fitting: 10).belongs)
        #expect(CodeMatch(path: "a", places: 1000, fitting: 839).percent == "83.9")
        #expect(CodeMatch(path: "a", places: 0, fitting: 0).share == 1)
    }

    @Test func theSampleIsSpread() {
        #expect(CodeMatch.order(of: 0, limit: 48).isEmpty && CodeMatch.order(of: 1, limit: 48) == [0])
        #expect(CodeMatch.order(of: 8, limit: 48) == [1, 7, 0, 2, 3, 4, 5, 6])
        let order = CodeMatch.order(of: 2000, limit: 48)
        #expect(Set(order).count == 48 && order.contains(0) && order.contains(1999))
        #expect(order.prefix(8).max() == 1999 && order.prefix(8).min() ?? 2000 < 300)
    }
}
