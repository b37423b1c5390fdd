// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
import Symbolize
import TestSupport
import Testing

@testable import BranchAnalysis

/// Labels of branches from code.
struct BranchLabelerTests {
    static let source = """
            .globl _start, back, indirect, jump, nothing, end, function, site, moved, other_call, empty, __x86_return_thunk
            .text
            .type _start, @function
        _start:
            call function
        back:
            jne back
        indirect:
            call *%rax
        jump:
            jmp *%rax
        nothing:
            nop
        end:
            jmp _start
            .type function, @function
        function:
            push %rbx
            pop %rbx
        site:
            .byte 0xe9                      # jmp thunk; becomes ret
            .long __x86_return_thunk - . - 4
            int3
        moved:
            .byte 0xe9                      # a jump that may go elsewhere
            .long _start - . - 4
        other_call:
            call function                   # may call another
        empty:
            .byte 0x0f, 0x1f, 0x44, 0, 0    # a nop that may become anything
            .type __x86_return_thunk, @function
        __x86_return_thunk:
            ret
            .section .return_sites, "a"
            .long site - .
            .section .altinstructions, "a"
            .irp place, moved, other_call, empty
            .long \\place - ., 0
            .word 0
            .byte 5, 5
            .endr
        """

    @Test func codeTellsLabels() throws {
        let program = try SmallProgram(Self.source, origin: 0x1_0040_1000)
        let symbolizer = Symbolizer()
        try symbolizer.add(program.path)
        let disassembler = try Disassembler()
        var code = try program.code()
        try code.findPatchSites(disassembler)
        let labeler = BranchLabeler(code, disassembler, symbolizer)
        let (start, function) = (program["_start"], program["function"])
        let elsewhere = program["back"] + 1
        let cases: [(from: UInt64, to: UInt64, label: String)] = [
            (start, function, "call!"), (program["back"], program["back"], "jcc!"),
            (program["indirect"], function, "call-indirect"), (program["jump"], start, "jmp-indirect"),
            (program["__x86_return_thunk"], elsewhere, "ret"), (program["end"], start, "jmp!"),
            // A branch that the instruction does not explain: an interrupt.
            (start, elsewhere, "call"), (program["back"], start, "jcc"), (program["nothing"], start, "none"),
            // Instructions that a kernel may have put there.
            (program["site"], program["__x86_return_thunk"], "jmp!"), (program["site"], elsewhere, "ret"),
            (program["moved"], start, "jmp!"), (program["moved"], elsewhere, "unknown"),
            (program["other_call"], function, "call!"), (program["other_call"], start, "call!"),
            (program["empty"], function, "call!"), (program["empty"], elsewhere, "unknown"),
            // No file has code there.
            (0x7fff_0000, start, "unknown"),
        ]
        // Twice: from the table the second time.
        for (from, to, label) in cases + cases {
            #expect(labeler.label(from: from, to: to).name == label, "0x\(String(from, radix: 16))")
        }
    }
}
