// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import TestSupport
import Testing

/// The instruction that decides a branch, and the instructions from which its data comes, in assembled code.
@Suite("The deciding instruction")
struct DecisionTests {
    private static let source = """
            .text
            .globl start, limit, loop, count, test, jump, table, through, return, input, mask, masked, low, part
        start:
            mov word(%rip), %edi
        limit:
            add $5, %edi
            xor %eax, %eax
        loop:
            nop
        count:
            add $1, %eax
        test:
            cmp %edi, %eax
        jump:
            jb loop
            mov 8(%rsp), %rcx
            mov %ecx, 16(%rsp)          # a store sets no register
            cmovz %rdi, %rcx
        table:
            jmp *slots(,%rcx,8)
        through:
            jmp *%rdx
        return:
            ret
            mov $0x60, %edx
        input:
            in (%dx), %al
        mask:
            test $4, %al
        masked:
            je start
            mov %rsi, %rbx
        low:
            movb (%rdi), %bl
            test %rbx, %rbx
        part:
            jne start
        word:
            .long 20
            .balign 8
        slots:
            .quad start
        """

    private let program: SmallProgram
    private let finder: DecisionFinder

    init() throws {
        program = try SmallProgram(DecisionTests.source, flags: "-Wl,-estart")
        finder = try DecisionFinder(code: program.code())
    }

    private func steps(_ decision: Decision) -> [String] {
        decision.steps.map { step in
            "\(step.sets.joined(separator: " ")): \(step.text)" + (step.count > 1 ? " ×\(step.count)" : "")
        }
    }

    @Test("a loop's condition leads to the addition in each turn, the load of the limit and its addition")
    func loop() throws {
        let (start, loop, jump) = (program["start"], program["loop"], program["jump"])
        let decision = try #require(finder.find([loop...jump, loop...jump, start...jump], class: .jcc))
        #expect(decision.instruction.text.hasPrefix("jb "))
        #expect(
            steps(decision) == [
                "flags: cmpl %edi, %eax", "rax: addl $1, %eax ×3", "rax: xorl %eax, %eax", "rdi: addl $5, %edi",
                "rdi: movl \(decision.steps.last?.loads.first?.text ?? "?"), %edi",
            ])
        #expect(decision.steps.last?.loads.map(\.size) == [4])
        #expect(decision.steps.last?.loads.first?.address.map { $0 > program["part"] } == true)
        #expect(decision.registers == [] && decision.since == start)
        // With less code, the registers' values are older.
        let short = try #require(finder.find([loop...jump, loop...jump]))
        #expect(short.registers == ["rax", "rdi"] && short.since == loop)
        #expect(finder.find([loop...jump], class: .ret) == nil)
        #expect(finder.find([0x10...0x20]) == nil)
    }

    @Test("indirect branches and returns: the memory that holds the target, and the index into it")
    func targets() throws {
        let table = try #require(finder.find([(program["jump"] + 2)...program["table"]]))
        #expect(table.instruction.loads.map(\.registers) == [[.rcx]])
        #expect(steps(table) == ["rcx: cmoveq %rdi, %rcx", "rcx: movq 8(%rsp), %rcx"])
        #expect(table.registers == ["rdi", "flags"])
        #expect(table.steps.last?.loads.map(\.text) == ["0x8(%rsp)"])
        let register = try #require(finder.find([program["through"]...program["through"]]))
        #expect(register.registers == ["rdx"] && register.steps == [])
        let back = try #require(finder.find([program["return"]...program["return"]]))
        #expect(back.instruction.loads.map(\.text) == ["(%rsp)"] && back.registers == [])
    }

    @Test("an input ends the search; a part of a register does not")
    func inputs() throws {
        let masked = try #require(finder.find([(program["return"] + 1)...program["masked"]]))
        #expect(masked.steps.map(\.isInput) == [false, true])
        #expect(steps(masked) == ["flags: testb $4, %al", "rax: inb %dx, %al"])
        #expect(masked.registers == ["rax"])
        let part = try #require(finder.find([(program["masked"] + 2)...program["part"]]))
        #expect(part.steps.map(\.sets) == [["flags"], ["rbx"], ["rbx"]])
        #expect(part.registers == ["rsi"])
    }
}
